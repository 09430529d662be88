package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/cronjobs/cronjobs/internal/job"
)

// maxImportItem bounds one job of an import, in bytes: four times what the
// largest needs. A tree is built of one job at a time, so that an import takes
// no more memory than it must.
const maxImportItem = 512 << 10

// readImport reads the JSON of an import. Faults of jobs stay with them; those
// of the body as a whole are added.
func (s *server) readImport(src []byte, faults *faultList) []job.ImportItem {
	raws, ok := splitImport(src, faults)
	if !ok {
		return nil
	}
	if len(raws) > job.MaxImport {
		faults.addf("jobs", "must have at most %d items", job.MaxImport)
		return nil
	}
	items := make([]job.ImportItem, len(raws))
	for i, raw := range raws {
		items[i] = s.readImportItem(raw)
		items[i].Place = "jobs[" + strconv.Itoa(i) + "]"
	}
	return items
}

// splitImport parts {"jobs":[…]} into its jobs. It goes over the text without
// keeping anything of it but where the jobs are.
func splitImport(src []byte, faults *faultList) (jobs []json.RawMessage, ok bool) {
	switch {
	case len(bytes.TrimLeft(src, " \t\r\n")) == 0:
		faults.add("", string(noBody))
		return nil, false
	case bytes.HasPrefix(src, byteOrderMark):
		faults.add("", string(marked))
		return nil, false
	case nestsDeeperThan(src, 2*maxDepth): // each job is looked at by itself
		faults.add("", "is nested too deep")
		return nil, false
	case !json.Valid(src):
		faults.add("", string(notJSON))
		return nil, false
	}
	// The text is known to be valid, so that no call below can fail.
	decoder := json.NewDecoder(bytes.NewReader(src))
	if start, _ := decoder.Token(); start != json.Delim('{') {
		faults.add("", "must be an object")
		return nil, false
	}
	seen := false
	for decoder.More() {
		if len(*faults) >= maxFaults {
			return nil, false
		}
		token, _ := decoder.Token()
		name, _ := token.(string)
		if name != "jobs" || seen {
			if name == "jobs" {
				faults.add("jobs", "is given more than once")
			} else {
				faults.add(child("", name), "is not a field of this request")
			}
			var skipped json.RawMessage
			_ = decoder.Decode(&skipped)
			continue
		}
		seen = true
		jobs, ok = splitArray(decoder, faults)
	}
	if !seen {
		faults.add("jobs", "is required")
	}
	return jobs, ok
}

// splitArray reads the value of jobs; it keeps one more than may be there.
func splitArray(decoder *json.Decoder, faults *faultList) (items []json.RawMessage, ok bool) {
	var whole json.RawMessage
	_ = decoder.Decode(&whole)
	inner := json.NewDecoder(bytes.NewReader(whole))
	if start, _ := inner.Token(); start != json.Delim('[') {
		faults.add("jobs", "must be an array")
		return nil, false
	}
	for inner.More() && len(items) <= job.MaxImport {
		var item json.RawMessage
		_ = inner.Decode(&item)
		items = append(items, item)
	}
	return items, true
}

// readImportItem reads one job; what is at fault is left out of its input.
func (s *server) readImportItem(raw json.RawMessage) (item job.ImportItem) {
	var faults faultList
	switch {
	case len(raw) > maxImportItem:
		faults.addf("", "must have at most %d bytes", maxImportItem)
	case nestsDeeperThan(raw, maxDepth):
		faults.addf("", "is nested more than %d levels deep", maxDepth)
	}
	if len(faults) > 0 {
		item.Faults = faults
		return item
	}
	tree := readNode(raw)
	v := s.validator(&faults)
	v.check(s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[importJob](), true, ""), tree, "")
	item.Faults = faults
	var sound bytes.Buffer
	if !tree.sound(&sound) {
		return item
	}
	var read importJob
	if err := json.Unmarshal(sound.Bytes(), &read); err != nil { // the schema lets nothing by that does not bind
		item.Faults = append(item.Faults, faultList{{Message: "is not a job"}}...)
		return item
	}
	item.Input = read.input()
	item.Input.CategoryID = read.CategoryID.Ptr()
	item.CategoryName = read.CategoryName.Ptr()
	return item
}
