package build

import (
	"context"
	"fmt"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
)

// image describes a container image. Layers are shared between images whose
// trees are the same.
type image struct {
	title      string
	names      []string // public references
	version    string
	layers     []layer
	entrypoint []string
	command    []string
	user       string
	parts      []string // components in it, for its bill of materials
	packages   []string // Debian packages in it
	machine    []string // Debian packages in it, of the machines' suite
	bare       bool     // without the base layer
}

// layer is a named tree.
type layer struct {
	name   string
	tree   *tree.Tree
	effort oci.Effort
}

// images are all images of the build.
func (b *builder) images(programs map[string]compiled, debian debianTrees) []image {
	base := layer{name: "base", tree: imageBase(b.certificates)}
	result := []image{
		{
			title:   "pause",
			names:   tags("registry.k8s.io/pause", programs["pause"].Origin.Version, "3.10.1"),
			version: programs["pause"].Origin.Version, parts: []string{"pause"},
			layers:     []layer{{name: "pause", tree: one(tree.New(), "pause", programs["pause"].program("pause"))}},
			entrypoint: []string{"/pause"}, user: "65535:65535", bare: true,
		},
		{
			title:   "etcd",
			names:   tags("registry.k8s.io/etcd", programs["etcd"].Origin.Version),
			version: programs["etcd"].Origin.Version, parts: []string{"etcd"},
			layers: []layer{base, {name: "etcd", tree: one(tree.New(), "usr/local/bin/etcd", programs["etcd"].program("etcd")).
				Symlink("usr/local/bin/etcdutl", "etcd")}},
			entrypoint: []string{"/usr/local/bin/etcd"},
		},
		{
			title:   "coredns",
			names:   tags("registry.k8s.io/coredns/coredns", programs["coredns"].Origin.Version),
			version: programs["coredns"].Origin.Version, parts: []string{"coredns"},
			layers:     []layer{base, {name: "coredns", tree: one(tree.New(), "coredns", programs["coredns"].program("coredns"))}},
			entrypoint: []string{"/coredns"},
		},
		{
			title:   "flannel",
			names:   tags("ghcr.io/flannel-io/flannel", programs["flannel"].Origin.Version),
			version: programs["flannel"].Origin.Version, parts: []string{"flannel"}, packages: nftPackages,
			layers: []layer{base, {name: "nft", tree: debian.nft},
				{name: "flannel", tree: one(tree.New(), "opt/bin/flanneld", programs["flannel"].program("flanneld"))}},
			entrypoint: []string{"/opt/bin/flanneld"},
		},
		{
			title:   "agnhost",
			names:   tags("registry.k8s.io/e2e-test-images/agnhost", AgnhostVersion),
			version: AgnhostVersion, parts: []string{"agnhost"}, packages: tarPackages,
			layers: []layer{base, {name: "tar", tree: debian.tar}, {name: "agnhost", tree: one(tree.New(), "agnhost", programs["agnhost"].program("agnhost")).
				Symlink("agnhost-2", "agnhost")}},
			entrypoint: []string{"/agnhost"}, command: []string{"pause"},
		},
	}

	for _, version := range b.options.Kubernetes {
		result = append(result, kubernetesImages(programs["kubernetes-"+version], base, debian.nft, debian.mount)...)
	}

	return result
}

// kubernetesImages are a thin layer each over the multi-call binary: a link
// under the component's name.
func kubernetesImages(kubernetes compiled, base layer, nft, mount *tree.Tree) []image {
	version := kubernetes.Origin.Version
	shared := layer{name: kubernetes.Name, tree: one(tree.New(), "usr/local/bin/kubernetes", kubernetes.program("kubernetes"))}

	var result []image

	for _, part := range []struct {
		name, repository string
		extra            []layer
		packages         []string
	}{
		{"kubelet", "ghcr.io/siderolabs/kubelet", []layer{{name: "mount", tree: mount}}, mountPackages},
		{"kube-apiserver", "registry.k8s.io/kube-apiserver", nil, nil},
		{"kube-controller-manager", "registry.k8s.io/kube-controller-manager", nil, nil},
		{"kube-scheduler", "registry.k8s.io/kube-scheduler", nil, nil},
		{"kube-proxy", "registry.k8s.io/kube-proxy", []layer{{name: "nft", tree: nft}}, nftPackages},
	} {
		layers := append([]layer{base, shared}, part.extra...)
		layers = append(layers, layer{name: part.name, tree: tree.New().Symlink("usr/local/bin/"+part.name, "kubernetes")})

		result = append(result, image{
			title: part.name, names: tags(part.repository, version), version: version,
			layers: layers, parts: []string{kubernetes.Name}, packages: part.packages,
			entrypoint: []string{"/usr/local/bin/" + part.name},
		})
	}

	return result
}

// one adds a program.
func one(t *tree.Tree, name string, p program) *tree.Tree {
	return t.File(name, 0o755, p.path, p.Sum, p.Size)
}

// tags are references to one repository.
func tags(repository string, versions ...string) []string {
	var names []string

	for _, version := range versions {
		names = append(names, repository+":"+version)
	}

	return names
}

// imageBase is the lowest layer of every image but pause.
func imageBase(certificates string) *tree.Tree {
	return mergedUsr(tree.New()).
		Text("etc/ssl/certs/ca-certificates.crt", 0o644, certificates).
		Text("etc/passwd", 0o644, passwd).
		Text("etc/group", 0o644, group).
		Text("etc/nsswitch.conf", 0o644, nsswitch).
		Dir("tmp", sticky|0o777).
		Dir("usr/local/bin", 0o755)
}

// pack makes the layers of an image.
func (b *builder) pack(ctx context.Context, i image) (oci.Image, error) {
	result := oci.Image{
		Names: i.names,
		Config: v1.ImageConfig{
			User: i.user, Env: []string{oci.SearchPath}, Entrypoint: i.entrypoint, Cmd: i.command,
		},
		Annotations: oci.Annotations(i.title, i.version),
	}

	for _, l := range i.layers {
		packed, err := b.packLayer(ctx, l)
		if err != nil {
			return oci.Image{}, explain(i.title, err)
		}

		result.Layers = append(result.Layers, packed)
	}

	return result, nil
}

func (l layer) key() string {
	inputs := []string{"layer", packRecipe, oci.Compression, l.tree.Digest()}
	if l.effort != oci.Small {
		inputs = append(inputs, fmt.Sprint(l.effort))
	}

	return cache.Key(inputs...)
}

func (b *builder) packLayer(ctx context.Context, l layer) (oci.Layer, error) {
	if err := l.tree.Err(); err != nil {
		return oci.Layer{}, err
	}

	dir, err := b.cache.Get(ctx, "layer-"+l.name, l.key(),
		func(_ context.Context, dir string) error {
			return b.timed("packing "+l.name, func(func()) error { return oci.WriteLayer(dir, l.tree, l.effort) }, nil)
		})
	if err != nil {
		return oci.Layer{}, err
	}

	return oci.ReadLayer(dir)
}
