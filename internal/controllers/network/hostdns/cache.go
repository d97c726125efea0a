package hostdns

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// cacheSize is how many answers are kept.
	cacheSize = 2048
	// maxTTL bounds how long an answer is kept, whatever its own time is.
	maxTTL = time.Hour
	// negativeTTL bounds how long the absence of a name is kept.
	negativeTTL = 30 * time.Second
)

type cacheKey struct {
	name          string
	qtype, qclass uint16
	// tcp separates whole answers from those cut to fit a packet.
	tcp bool
}

type cacheEntry struct {
	key     cacheKey
	reply   *dns.Msg
	stored  time.Time
	expires time.Time
}

// cache keeps answers for their time to live, the most recently used ones.
type cache struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[cacheKey]*list.Element
	recent  *list.List
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, entries: map[cacheKey]*list.Element{}, recent: list.New()}
}

func keyOf(q dns.Question, tcp bool) cacheKey {
	return cacheKey{name: strings.ToLower(q.Name), qtype: q.Qtype, qclass: q.Qclass, tcp: tcp}
}

// get returns a copy of the answer with what is left of its time to live, or
// nil.
func (c *cache) get(q dns.Question, tcp bool) *dns.Msg {
	c.mu.Lock()
	defer c.mu.Unlock()

	element, ok := c.entries[keyOf(q, tcp)]
	if !ok {
		return nil
	}

	entry, now := element.Value.(*cacheEntry), c.now()

	if !now.Before(entry.expires) {
		c.remove(element)

		return nil
	}

	c.recent.MoveToFront(element)

	reply := entry.reply.Copy()
	age := uint32(now.Sub(entry.stored) / time.Second)

	for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		for _, rr := range section {
			if header := rr.Header(); header.Rrtype != dns.TypeOPT {
				header.Ttl -= min(age, header.Ttl)
			}
		}
	}

	return reply
}

// put keeps an answer that may be kept.
func (c *cache) put(q dns.Question, reply *dns.Msg, tcp bool) {
	ttl := lifetime(reply)
	if ttl <= 0 {
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	key := keyOf(q, tcp)
	if old, ok := c.entries[key]; ok {
		c.remove(old)
	}

	now := c.now()
	c.entries[key] = c.recent.PushFront(&cacheEntry{key: key, reply: reply.Copy(), stored: now, expires: now.Add(ttl)})

	if c.recent.Len() > cacheSize {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	delete(c.entries, element.Value.(*cacheEntry).key)
	c.recent.Remove(element)
}

// lifetime is how long an answer may be kept; zero means not at all.
func lifetime(reply *dns.Msg) time.Duration {
	if reply.Truncated || (reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError) {
		return 0
	}

	ttl, limit := maxTTL, maxTTL
	records := reply.Answer

	if len(records) == 0 {
		records, limit = reply.Ns, negativeTTL
		if len(records) == 0 {
			return 0
		}
	}

	for _, rr := range records {
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)

		if soa, ok := rr.(*dns.SOA); ok {
			ttl = min(ttl, time.Duration(soa.Minttl)*time.Second)
		}
	}

	return min(ttl, limit)
}
