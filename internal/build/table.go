package build

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/opencontainers/go-digest"
)

const megabyte = 1 << 20

// WriteTable writes what was built: components with their origins, images, and
// what a whole cluster has to download.
func (r *Result) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)

	fmt.Fprintln(table, "COMPONENT\tVERSION\tSOURCE\tCHECKSUM\tPROGRAMS\tMB")

	for _, c := range r.Components {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", c.Name, c.Origin.Version, c.Origin.Module,
			orDash(c.Origin.Sum), len(c.Programs), mega(c.Size()))
	}

	fmt.Fprintln(table, "\nIMAGE\tDIGEST\tCOMPRESSED MB")

	for _, image := range r.Images {
		for _, name := range image.Names {
			fmt.Fprintf(table, "%s\t%.19s\t%s\n", name, image.Digest, mega(image.Size))
		}
	}

	cluster := r.ClusterSize()
	fmt.Fprintf(table, "\nroot tree\t%.19s\t%s (%s unpacked)\n", r.Root.Digest, mega(r.Root.Compressed), mega(r.Root.Size))
	fmt.Fprintf(table, "images of a cluster\t\t%s (layers once)\n", mega(cluster))
	fmt.Fprintf(table, "total\t\t%s\n", mega(cluster+r.Root.Compressed))

	if len(r.Media) > 0 {
		fmt.Fprintln(table, "\nFOR MACHINES\tDIGEST\tMB\tON DISK\tBUDGET")
	}

	for _, medium := range r.Media {
		share := "-"
		if budget, ok := r.Budget[medium.File]; ok {
			share = fmt.Sprintf("%+.1f %%", budget.excess(medium))
		}

		fmt.Fprintf(table, "%s\tsha256:%.12s\t%s\t%s\t%s\n", medium.File, medium.SHA256, mega(medium.Size), mega(medium.Disk), share)
	}

	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}

	return nil
}

// ClusterSize is the size of the compressed layers of all images that a cluster
// of the first version of Kubernetes runs, each layer once, in bytes.
func (r *Result) ClusterSize() int64 {
	var size int64

	seen := map[digest.Digest]bool{}
	titles := map[string]bool{"agnhost": true, "installer": true} // no part of it

	for _, image := range r.Images {
		if titles[image.Title] {
			continue
		}

		titles[image.Title] = true

		for _, layer := range image.Layers {
			if !seen[layer.Digest] {
				seen[layer.Digest] = true
				size += layer.Size
			}
		}
	}

	return size
}

func mega(size int64) string { return fmt.Sprintf("%.1f", float64(size)/megabyte) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}

	return s
}
