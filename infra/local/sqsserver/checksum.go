package sqsserver

import (
	"crypto/md5" //nolint:gosec // the protocol's checksum, not a safeguard
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"
)

func checksum(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// attributesChecksum is the MD5 over the attributes in the order of their
// names: name, type, a byte that tells text (1) from bytes (2), and value,
// each but the byte preceded by its length. It is empty for no attributes.
func attributesChecksum(attributes map[string]attributeValue) string {
	if len(attributes) == 0 {
		return ""
	}
	sum := md5.New() //nolint:gosec // see the import
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		writeSized(sum, []byte(name))
		writeSized(sum, []byte(value.DataType))
		if value.binary() {
			sum.Write([]byte{2})
			writeSized(sum, value.BinaryValue)
		} else {
			sum.Write([]byte{1})
			writeSized(sum, []byte(*value.StringValue))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func writeSized(sum hash.Hash, content []byte) {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(content)))
	sum.Write(size[:])
	sum.Write(content)
}

// attributeValue is a message attribute on the wire.
type attributeValue struct {
	DataType    string  `json:"DataType"`
	StringValue *string `json:"StringValue,omitempty"`
	BinaryValue []byte  `json:"BinaryValue,omitempty"`
}

func (v attributeValue) binary() bool {
	return v.DataType == "Binary" || strings.HasPrefix(v.DataType, "Binary.")
}

func (v attributeValue) size() int {
	if v.StringValue != nil {
		return len(v.DataType) + len(*v.StringValue)
	}
	return len(v.DataType) + len(v.BinaryValue)
}
