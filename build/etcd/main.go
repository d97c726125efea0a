// Command etcd is the cluster's database and the tool that restores its
// snapshots in one binary: started as etcdutl it is the tool, else the server.
//
// The server's own module has relative replaces and cannot be built in place.
package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	if filepath.Base(os.Args[0]) != "etcdutl" {
		etcdmain.Main(os.Args)

		return
	}

	if err := newEtcdutl().Execute(); err != nil {
		os.Exit(1)
	}
}

// newEtcdutl returns the offline tool with the commands that a node needs.
func newEtcdutl() *cobra.Command {
	root := &cobra.Command{
		Use:   "etcdutl",
		Short: "Inspect and restore etcd data directories and snapshots",
	}

	root.PersistentFlags().DurationVar(&etcdutl.FlockTimeout, "timeout", 10*time.Second,
		"time to wait for the lock on the database file, 0 to wait for ever")
	root.PersistentFlags().StringVarP(&etcdutl.OutputFormat, "write-out", "w", "simple",
		"output format (fields, json, protobuf, simple, table)")
	root.AddCommand(
		etcdutl.NewDefragCommand(),
		etcdutl.NewSnapshotCommand(),
		etcdutl.NewHashKVCommand(),
		etcdutl.NewVersionCommand(),
	)

	return root
}
