package imager

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A qcow2 image maps the clusters of a disk through two levels of tables;
// clusters of zeros are in no table and take no room. All numbers are big
// endian.
const (
	qcowClusterBits = 16
	qcowCluster     = 1 << qcowClusterBits
	qcowPerTable    = qcowCluster / 8 // entries of eight bytes in a cluster
	qcowPerCount    = qcowCluster / 2 // reference counts of two bytes in a cluster
	qcowCopied      = 1 << 63         // the cluster has no other user
	qcowVersion     = 3
	qcowCountOrder  = 4 // reference counts have 1<<4 bits
	qcowHeader      = 104
)

// writeQCOW2 copies a disk of size bytes into a qcow2 image: header, reference
// counts, the first table, then second tables and data as they come.
func writeQCOW2(w io.WriterAt, disk io.ReaderAt, size int64) error {
	clusters := (size + qcowCluster - 1) / qcowCluster
	tables := (clusters + qcowPerTable - 1) / qcowPerTable

	// Counts for the case that nothing is zero: they are few.
	most := clusters + tables + 16
	counts := (most + qcowPerCount - 1) / qcowPerCount

	if tables > qcowPerTable || counts > qcowPerTable {
		return fmt.Errorf("writing a qcow2 image: a disk of %d bytes is too large", size)
	}

	q := &qcow{w: w, counts: counts, next: 3 + counts, first: make([]uint64, tables)}

	for table := range tables {
		if err := q.copyTable(disk, table, min(clusters-table*qcowPerTable, qcowPerTable), size); err != nil {
			return fmt.Errorf("writing a qcow2 image: %w", err)
		}
	}

	if err := q.finish(size); err != nil {
		return fmt.Errorf("writing a qcow2 image: %w", err)
	}

	return nil
}

// qcow is an image being written: cluster 0 is the header, 1 the table of
// reference counts, 2 the first table, then the reference counts.
type qcow struct {
	w      io.WriterAt
	counts int64 // clusters of reference counts
	next   int64 // free cluster
	first  []uint64
}

// copyTable copies the clusters of one second table.
func (q *qcow) copyTable(disk io.ReaderAt, table, clusters, size int64) error {
	second := make([]uint64, qcowPerTable)
	buffer := make([]byte, qcowCluster)
	empty := true

	for i := range clusters {
		at := (table*qcowPerTable + i) * qcowCluster
		clear(buffer)

		if _, err := disk.ReadAt(buffer[:min(qcowCluster, size-at)], at); err != nil {
			return err
		}

		if isZero(buffer) {
			continue
		}

		if err := q.writeCluster(q.next, buffer); err != nil {
			return err
		}

		second[i] = uint64(q.next)*qcowCluster | qcowCopied
		q.next++
		empty = false
	}

	if empty {
		return nil
	}

	q.first[table] = uint64(q.next)*qcowCluster | qcowCopied
	q.next++

	return q.writeCluster(q.next-1, numbers(second))
}

func isZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}

	return true
}

func numbers(values []uint64) []byte {
	data := make([]byte, 0, qcowCluster)
	for _, v := range values {
		data = binary.BigEndian.AppendUint64(data, v)
	}

	return data[:qcowCluster]
}

func (q *qcow) writeCluster(cluster int64, data []byte) error {
	_, err := q.w.WriteAt(data, cluster*qcowCluster)

	return err
}

// finish writes what is in front of the data.
func (q *qcow) finish(size int64) error {
	blocks := make([]uint64, q.counts)

	for i := range q.counts {
		blocks[i] = uint64(3+i) * qcowCluster
		counts := make([]byte, qcowCluster)

		for j := int64(0); j < qcowPerCount && i*qcowPerCount+j < q.next; j++ {
			binary.BigEndian.PutUint16(counts[2*j:], 1)
		}

		if err := q.writeCluster(3+i, counts); err != nil {
			return err
		}
	}

	if err := q.writeCluster(1, numbers(blocks)); err != nil {
		return err
	}

	if err := q.writeCluster(2, numbers(q.first)); err != nil {
		return err
	}

	header := make([]byte, qcowCluster)
	copy(header, "QFI\xfb")
	binary.BigEndian.PutUint32(header[4:], qcowVersion)
	binary.BigEndian.PutUint32(header[20:], qcowClusterBits)
	binary.BigEndian.PutUint64(header[24:], uint64(size))
	binary.BigEndian.PutUint32(header[36:], uint32(len(q.first)))
	binary.BigEndian.PutUint64(header[40:], 2*qcowCluster)
	binary.BigEndian.PutUint64(header[48:], 1*qcowCluster)
	binary.BigEndian.PutUint32(header[56:], 1)
	binary.BigEndian.PutUint32(header[96:], qcowCountOrder)
	binary.BigEndian.PutUint32(header[100:], qcowHeader)

	return q.writeCluster(0, header)
}
