// Package support has the command that collects what a bug report needs.
package support

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/filing"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/client"
)

// options are the flags of the command.
type options struct {
	output                   string
	recipients               []string
	noDefaults, noEncryption bool
	workers                  int
	verbose                  bool
}

// New returns the command.
func New() *cobra.Command {
	var o options

	cmd := &cobra.Command{
		Use:   "support",
		Short: "Collect what a bug report needs: logs, resources and the state of nodes",
		Long: `Collect what a bug report needs into a zip file: logs of the kernel, of services and of
the pods of the system, resources, the configuration without its secrets, processes, sockets,
mounts and events.

Resources that are secret are left out, and so are those that may have secrets of yours:
manifests, static pods and environment variables. The configuration still has the manifests,
files and environment variables that are written in it.

With recipients, whose age or SSH public keys are given, the file is encrypted for them.`,
		Example: `  basaltctl support
  basaltctl support --nodes 10.5.0.2,10.5.0.3 -O bug.zip -w 4
  basaltctl support --encryption-recipients age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)

	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "O", "", "file to write (default: support.zip, or support.zip.age when it is encrypted)")
	flags.StringArrayVar(&o.recipients, "encryption-recipients", nil, "public key to encrypt for: age1..., ssh-ed25519 ... or ssh-rsa ... (repeatable)")
	flags.BoolVar(&o.noDefaults, "encryption-no-default-recipients", false, "accepted for scripts; nobody is a recipient by default")
	flags.BoolVar(&o.noEncryption, "no-encryption", false, "do not encrypt")
	flags.IntVarP(&o.workers, "num-workers", "w", 1, "how much to collect at the same time from each node")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "say what is being collected")
	cmd.MarkFlagsMutuallyExclusive("no-encryption", "encryption-recipients")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return o.run(cmd, target)
	})

	return cmd
}

func (o *options) run(cmd *cobra.Command, target *connect.Target) error {
	recipients, err := parseRecipients(o.recipients)
	if err != nil {
		return err
	}

	output := o.output
	if output == "" {
		output = "support.zip"
		if len(recipients) > 0 {
			output += ".age"
		}
	}

	if o.workers < 1 {
		return errors.New("--num-workers: give at least 1")
	}

	if err := filing.Free(output, false); err != nil {
		return err
	}

	file, err := renameio.NewPendingFile(output, renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	defer file.Cleanup()

	if err := o.write(cmd, target, file, recipients); err != nil {
		return err
	}

	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}

	fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %s\n", output)

	if len(recipients) == 0 && !o.noEncryption {
		fmt.Fprintln(cmd.ErrOrStderr(), "It is not encrypted, and logs may have what is not meant for everybody: look before you send it.")
	}

	return nil
}

func parseRecipients(keys []string) ([]age.Recipient, error) {
	var recipients []age.Recipient

	for _, key := range keys {
		var (
			recipient age.Recipient
			err       error
		)

		if strings.HasPrefix(key, "ssh-") {
			recipient, err = agessh.ParseRecipient(key)
		} else {
			recipient, err = age.ParseX25519Recipient(key)
		}

		if err != nil {
			return nil, fmt.Errorf("--encryption-recipients %q: %w", key, err)
		}

		recipients = append(recipients, recipient)
	}

	return recipients, nil
}

// write writes the archive, encrypted when there are recipients.
func (o *options) write(cmd *cobra.Command, target *connect.Target, out io.Writer, recipients []age.Recipient) error {
	if len(recipients) == 0 {
		return o.archive(cmd, target, out)
	}

	encrypted, err := age.Encrypt(out, recipients...)
	if err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}

	return errors.Join(o.archive(cmd, target, encrypted), encrypted.Close())
}

func (o *options) archive(cmd *cobra.Command, target *connect.Target, out io.Writer) error {
	bundle := &bundle{archive: zip.NewWriter(out), begin: time.Now()}
	if o.verbose {
		bundle.verbose = cmd.ErrOrStderr()
	}

	// One after the other: a node in trouble should not be asked for all at once.
	printer := steps.New(cmd.ErrOrStderr())

	for _, node := range target.Nodes {
		err := printer.Do("collect from "+node.Name, func(step *steps.Step) error {
			o.collect(node.Context(cmd.Context()), node, bundle, step.Detail)

			return context.Cause(cmd.Context())
		})
		if err != nil {
			return err
		}
	}

	return bundle.close()
}

// item is one file of the archive.
type item struct {
	name  string
	fetch func(ctx context.Context) ([]byte, error)
}

// itemTimeout bounds the fetching of one item.
const itemTimeout = 30 * time.Second

// collect fetches all items of a node, several at the same time.
func (o *options) collect(ctx context.Context, n connect.Node, b *bundle, detail func(string)) {
	work := make(chan item)

	var wg sync.WaitGroup

	for range o.workers {
		wg.Go(func() {
			for item := range work {
				detail(item.name)
				b.add(ctx, path.Join(fileName(n.Name), item.name), item.fetch)
			}
		})
	}

	for _, item := range itemsOf(ctx, n) {
		work <- item
	}

	close(work)
	wg.Wait()
}

// fileName makes a name that every system can unpack.
func fileName(name string) string {
	return strings.NewReplacer("/", "_", ":", "_", "\\", "_").Replace(name)
}

// bundle is the archive that is being written. It is safe for concurrent use.
type bundle struct {
	mu      sync.Mutex
	archive *zip.Writer
	begin   time.Time
	failed  bytes.Buffer
	err     error
	verbose io.Writer // nil: say nothing
}

// add fetches an item and stores it. What cannot be fetched is noted in the
// archive: a node in trouble has just that.
func (b *bundle) add(ctx context.Context, name string, fetch func(context.Context) ([]byte, error)) {
	ctx, cancel := context.WithTimeout(ctx, itemTimeout)
	defer cancel()

	data, err := fetch(ctx)

	b.mu.Lock()
	defer b.mu.Unlock()

	if err != nil {
		fmt.Fprintf(&b.failed, "%s: %s\n", name, client.Message(err))
	}

	if b.verbose != nil {
		fmt.Fprintf(b.verbose, "%s (%d bytes)\n", name, len(data))
	}

	if len(data) > 0 {
		b.store(name, data)
	}
}

func (b *bundle) store(name string, data []byte) {
	if b.err != nil {
		return
	}

	var out io.Writer

	out, b.err = b.archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.begin})
	if b.err == nil {
		_, b.err = out.Write(data)
	}
}

// close finishes the archive.
func (b *bundle) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.failed.Len() > 0 {
		b.store("errors.txt", b.failed.Bytes())
	}

	if err := errors.Join(b.err, b.archive.Close()); err != nil {
		return fmt.Errorf("writing archive: %w", err)
	}

	return nil
}
