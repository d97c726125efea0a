package machineconfig_test

import (
	"encoding"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// TestKinds makes an example of every kind with every field filled, and checks
// that it parses, is valid and comes back the same.
func TestKinds(t *testing.T) {
	t.Parallel()

	kinds := document.Kinds()

	ofContract := 0

	for _, kind := range kinds {
		if document.VersionOf(kind) == document.Version {
			ofContract++
		}
	}

	if ofContract != 89 {
		t.Errorf("there are %d kinds, the contract has 89", ofContract)
	}

	for _, kind := range kinds {
		t.Run(document.KindOf(kind), func(t *testing.T) {
			t.Parallel()

			want := example(t, reflect.TypeOf(kind))

			text, err := machineconfig.Encode(want)
			if err != nil {
				t.Fatal(err)
			}

			cfg, err := machineconfig.Load(text, machineconfig.Options{})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}

			docs := cfg.Documents()
			if len(docs) != 1 {
				t.Fatalf("there are %d documents", len(docs))
			}

			if diff := cmp.Diff(want, docs[0].Value, compareUnexported); diff != "" {
				t.Errorf("(-want +got):\n%s\n%s", diff, text)
			}

			if diff := cmp.Diff(string(text), string(cfg.Bytes())); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}

			if _, err := cfg.Validate(machineconfig.Metal); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// TestV1Alpha1RoundTrip does the same for the document without a kind, with all
// its older parts. It says many things at once that exclude each other, so it
// is decoded and encoded only.
func TestV1Alpha1RoundTrip(t *testing.T) {
	t.Parallel()

	want := example(t, reflect.TypeFor[document.V1Alpha1]())

	text, err := machineconfig.Encode(want)
	if err != nil {
		t.Fatal(err)
	}

	cfg, err := machineconfig.Load(text, machineconfig.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}

	if diff := cmp.Diff(want, cfg.Documents()[0].Value, compareUnexported); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var compareUnexported = cmp.Options{
	cmp.Exporter(func(t reflect.Type) bool { return strings.HasSuffix(t.PkgPath(), "/document") }),
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}),
}

// texts are values of types that are written as a string.
var texts = map[reflect.Type]string{
	reflect.TypeFor[netip.Addr]():            "10.5.0.2",
	reflect.TypeFor[netip.Prefix]():          "10.5.0.0/24",
	reflect.TypeFor[netip.AddrPort]():        "10.5.0.2:51820",
	reflect.TypeFor[document.HardwareAddr](): "02:00:00:00:00:01",
	reflect.TypeFor[document.ByteSize]():     "10GiB",
	reflect.TypeFor[document.Size]():         "-50%",
	reflect.TypeFor[document.PortRange]():    "50000-50010",
	reflect.TypeFor[document.RoutingTable](): "main",
}

// byPath are values of fields of which not any value will do.
func byPath(t *testing.T) map[string]string {
	t.Helper()

	const (
		key     = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
		address = "10.5.0.2"
	)

	certs := bundle(t).Certs

	return map[string]string{
		"BlackholeRouteConfig.name":                                      "10.0.0.0/8",
		"HCloudVIPConfig.name":                                           address,
		"HostnameConfig.auto":                                            "off",
		"KubeAPIServerCAConfig.issuingCA.cert":                           string(certs.K8s.Cert),
		"KubeAPIServerCAConfig.issuingCA.key":                            string(certs.K8s.Key),
		"KubeAPIServerCAConfig.acceptedCAs":                              string(certs.K8s.Cert),
		"KubeAggregatorCAConfig.issuingCA.cert":                          string(certs.K8sAggregator.Cert),
		"KubeAggregatorCAConfig.issuingCA.key":                           string(certs.K8sAggregator.Key),
		"KubeAggregatorCAConfig.acceptedCAs":                             string(certs.K8s.Cert),
		"KubeAuthorizerConfig.type":                                      "Webhook",
		"KubeNetworkConfig.serviceSubnets":                               "10.96.0.0/12",
		"KubeNodeConfig.nodeIP.validSubnets":                             "!10.0.0.0/8",
		"KubeNodeConfig.taints":                                          "value:NoSchedule",
		"BootHealthConfig.gates":                                         "kubelet",
		"KubeServiceAccountConfig.issuer.privateKey":                     string(certs.K8sServiceAccount.Key),
		"KubeSpanConfig.mtu":                                             "1420",
		"Layer2VIPConfig.name":                                           address,
		"RegistryTLSConfig.ca":                                           string(certs.K8s.Cert),
		"RegistryTLSConfig.clientIdentity.cert":                          string(certs.K8s.Cert),
		"RegistryTLSConfig.clientIdentity.key":                           string(certs.K8s.Key),
		"RoutingRuleConfig.name":                                         "1000",
		"StaticHostConfig.name":                                          address,
		"TCPProbeConfig.endpoint":                                        "10.5.0.2:80",
		"EventSinkConfig.endpoint":                                       "10.5.0.2:8080",
		"TrustedRootsConfig.certificates":                                string(certs.K8s.Cert),
		"UserVolumeConfig.provisioning.maxSize":                          "20GiB",
		"WatchdogTimerConfig.device":                                     "/dev/watchdog0",
		"WireguardConfig.privateKey":                                     key,
		"WireguardConfig.peers.publicKey":                                key,
		"WireguardConfig.peers.presharedKey":                             key,
		"V1Alpha1.cluster.network.podSubnets":                            "10.244.0.0/16",
		"V1Alpha1.cluster.network.serviceSubnets":                        "10.96.0.0/12",
		"V1Alpha1.machine.install.diskSelector.size":                     ">= 10GB",
		"V1Alpha1.cluster.extraManifests":                                "https://example.org/manifest.yaml",
		"V1Alpha1.machine.network.nameservers":                           address,
		"V1Alpha1.machine.registries.mirrors.endpoints":                  "https://example.org",
		"V1Alpha1.machine.network.interfaces.routes.network":             "10.0.0.0/8",
		"V1Alpha1.machine.network.interfaces.routes.gateway":             address,
		"V1Alpha1.machine.network.interfaces.routes.source":              address,
		"V1Alpha1.machine.network.interfaces.vlans.routes.network":       "10.0.0.0/8",
		"V1Alpha1.machine.network.interfaces.vlans.routes.gateway":       address,
		"V1Alpha1.machine.network.interfaces.vlans.routes.source":        address,
		"V1Alpha1.machine.network.interfaces.vlans.dhcpOptions.duidv6":   "00:01",
		"V1Alpha1.machine.network.interfaces.dhcpOptions.duidv6":         "00:01",
		"V1Alpha1.machine.network.interfaces.cidr":                       "10.5.0.2/24",
		"V1Alpha1.machine.network.interfaces.vlans.cidr":                 "10.5.0.2/24",
		"V1Alpha1.machine.network.interfaces.bond.arpIPTarget":           address,
		"V1Alpha1.machine.network.interfaces.wireguard.peers.endpoint":   "10.5.0.2:51820",
		"V1Alpha1.machine.network.interfaces.wireguard.peers.allowedIPs": "10.0.0.0/8",
		"V1Alpha1.cluster.network.cni.urls":                              "https://example.org/cni.yaml",
	}
}

// oneOnly are fields of which a document may have one; the others stay empty.
var oneOnly = map[string]bool{
	"EncryptionKey.NodeID": true, "EncryptionKey.KMS": true, "EncryptionKey.TPM": true,
	"ContainerMount.Tmpfs": true, "ContainerMount.HostPath": true,
}

// example is a pointer to a struct with all fields filled.
func example(t *testing.T, typ reflect.Type) any {
	t.Helper()

	e := exampler{t: t, byPath: byPath(t)}
	v := reflect.New(typ)
	e.fill(v.Elem(), typ.Name(), "")

	return v.Interface()
}

type exampler struct {
	t      *testing.T
	byPath map[string]string
}

func (e exampler) fill(v reflect.Value, path string, tag reflect.StructTag) {
	e.t.Helper()

	t := v.Type()
	special := e.byPath[path]

	if v.Kind() != reflect.Pointer && v.CanAddr() {
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			text := special
			if text == "" {
				text = texts[t]
			}

			if text == "" && t == reflect.TypeFor[document.URL]() {
				scheme, _, _ := strings.Cut(tag.Get("scheme")+"|", "|")
				if scheme == "" {
					scheme = "https"
				}

				text = scheme + "://example.org:8080"
			}

			if text == "" {
				text = "cGVt"
			}

			if err := u.UnmarshalText([]byte(text)); err != nil {
				e.t.Fatalf("%s: %v", path, err)
			}

			return
		}
	}

	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		e.fill(v.Elem(), path, tag)
	case t == reflect.TypeFor[time.Duration]():
		v.SetInt(int64(90 * time.Second))
	case t == reflect.TypeFor[document.Match]():
		v.FieldByName("Match").SetString("disk.size > 10u")
	case t == reflect.TypeFor[document.Free]():
		v.Set(reflect.ValueOf(document.Free{
			"text": "value", "metadata": map[string]any{"name": "pod"}, "number": 5, "list": []any{"a", true, nil, 1.5},
		}))
	case t == reflect.TypeFor[document.Args]():
		v.Set(reflect.ValueOf(document.Args{"one": {"5"}, "many": {"a", "b"}}))
	case v.Kind() == reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if oneOnly[t.Name()+"."+f.Name] {
				continue
			}

			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.Anonymous {
				name = "." + name
			}

			e.fill(v.Field(i), path+name, f.Tag)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		e.fill(v.Index(0), path, tag)
	case v.Kind() == reflect.Map:
		elem := reflect.New(t.Elem()).Elem()
		e.fill(elem, path, tag)
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("example.org"), elem)
	default:
		e.scalar(v, path, special, tag)
	}
}

func (e exampler) scalar(v reflect.Value, path, special string, tag reflect.StructTag) {
	e.t.Helper()

	number, err := strconv.Atoi(special)
	if err != nil {
		if number, err = strconv.Atoi(tag.Get("max")); err != nil {
			number = 7
		}
	}

	switch {
	case v.Kind() == reflect.String && special != "":
		v.SetString(special)
	case v.Kind() == reflect.String && tag.Get("enum") != "":
		first, _, _ := strings.Cut(tag.Get("enum"), "|")
		v.SetString(first)
	case v.Kind() == reflect.String && strings.HasSuffix(strings.ToLower(path), "expression"):
		v.SetString("memory_full_avg10 > 12.0")
	case v.Kind() == reflect.String && strings.Contains(path, "ddress"):
		v.SetString("10.5.0.2/24")
	case v.Kind() == reflect.String:
		v.SetString("example")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(number))
	default:
		v.SetUint(uint64(number))
	}
}
