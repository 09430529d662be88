package schedule

import (
	"cmp"
	"fmt"
	"strconv"
)

// item is one entry of a field's list.
type item struct {
	kind itemKind
	// first and last are the values a plain item spans. The last may be 7, for
	// Sunday. A special item has its day or weekday in first.
	first, last int
	step        int // 0 when no step was written
	nth         int // for nthWeekday: 1 to 5
}

type itemKind int

const (
	span           itemKind = iota // 5, 9-17, 9-17/2
	everyStep                      // */15
	fromStep                       // 5/15
	nearestWorkday                 // 15W
	lastDay                        // L
	lastWorkday                    // LW
	lastWeekday                    // 5L
	nthWeekday                     // 5#3
)

// special reports whether what matches depends on the month, so that the item
// contributes no plain values.
func (k itemKind) special() bool { return k >= nearestWorkday }

func (it item) String() string {
	switch it.kind {
	case everyStep:
		return "*/" + strconv.Itoa(it.step)
	case fromStep:
		return fmt.Sprintf("%d/%d", it.first, it.step)
	case nearestWorkday:
		return strconv.Itoa(it.first) + "W"
	case lastDay:
		return "L"
	case lastWorkday:
		return "LW"
	case lastWeekday:
		return strconv.Itoa(it.first) + "L"
	case nthWeekday:
		return fmt.Sprintf("%d#%d", it.first, it.nth)
	}
	text := strconv.Itoa(it.first)
	if it.last != it.first || it.step > 0 { // 5-5/2 is not 5/2
		text += "-" + strconv.Itoa(it.last)
	}
	if it.step > 0 {
		text += "/" + strconv.Itoa(it.step)
	}
	return text
}

// set is the plain values of the item, as bits.
func (it item) set(spec *fieldSpec) uint64 {
	if it.kind.special() {
		return 0
	}
	var set uint64
	for v := it.first; v <= it.last; v += max(it.step, 1) {
		set |= 1 << spec.fold(v)
	}
	return set
}

// fold makes the two numbers of Sunday one.
func (spec *fieldSpec) fold(v int) int {
	if v > spec.end {
		return spec.min
	}
	return v
}

// compareItems puts plain values first, in ascending order.
func compareItems(a, b item) int {
	if a.kind.special() != b.kind.special() {
		return cmp.Compare(a.kind, b.kind)
	}
	if a.kind.special() {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first), cmp.Compare(a.nth, b.nth))
	}
	return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last),
		cmp.Compare(a.step, b.step), cmp.Compare(a.kind, b.kind))
}
