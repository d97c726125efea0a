// Package machineconfig reads, checks, patches and generates machine
// configurations.
//
// A configuration is a stream of YAML documents. [Load] decodes it strictly and
// reports all faults with their places. Package document has the documents as
// Go structs.
//
// The older form, one large document without a kind, is translated on load: its
// parts become the documents that have replaced them. So whoever uses a
// configuration never sees which form it was written in:
//
//   - [Find] and [All] give documents by type:
//     machineconfig.Find[document.KubeletConfig](cfg).
//   - [Config.Machine] and [Config.Cluster] give the whole as plain values with
//     all defaults filled in. Controllers should prefer these.
//
// [Config.Documents] and [Config.Bytes] are the configuration as it was
// written; a document that was not patched keeps its bytes.
//
// A [Config] is immutable and safe for concurrent use; what its methods return
// must not be changed.
package machineconfig
