package mysql

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
)

// places remembers where some jobs stand in lists, so that a page deep in one is
// walked to from a place nearby and not from an end: who turns pages comes from
// the page before.
//
// What it remembers bears the generation of the jobs that was read before (see
// kept), and is used only where the stored one is still the same. Lists whose
// order changes without it, such as that of the next run, are not remembered.
type places struct {
	mu         sync.Mutex
	generation int64
	since      time.Time
	lists      map[placeList][]standing // each in ascending order
}

// placeList is a list, whichever way it is read.
type placeList struct {
	filter job.Filter // without page and direction
	part   string     // of the list, where it has several
}

// standing is where a job stands in a list.
type standing struct {
	jobID   int64
	key, id any // by which the list is ordered; key is nil where the id alone orders
	rank    int // how many others come before it in ascending order, where that is known
}

// At most so many lists are remembered, each with so many places.
const (
	maxPlaceLists = 64
	maxPlaces     = 256
)

func listOf(filter job.Filter, part stretch) placeList {
	filter.Offset, filter.Limit, filter.Descending = 0, 0, false
	return placeList{filter, string(part.status)}
}

// around are the known places that are nearest to ranks from lo to before hi: at
// or before their first, and at or behind their last. nil where there is none.
func (p *places) around(generation int64, list placeList, lo, hi int) (before, behind *standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation != generation || time.Since(p.since) >= keptAge {
		return nil, nil
	}
	known := p.lists[list]
	i, found := slices.BinarySearchFunc(known, lo, byRank)
	if !found {
		i--
	}
	if i >= 0 {
		before = &known[i]
	}
	if i, _ = slices.BinarySearchFunc(known, hi-1, byRank); i < len(known) {
		behind = &known[i]
	}
	return before, behind
}

// learn remembers places as they were seen in a generation.
func (p *places) learn(generation int64, list placeList, seen ...standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation != generation || time.Since(p.since) >= keptAge || len(p.lists) >= maxPlaceLists && p.lists[list] == nil {
		p.generation, p.since, p.lists = generation, time.Now(), map[placeList][]standing{}
	}
	// Never changed in place: others read what around gave them.
	known := slices.Clone(p.lists[list])
	for _, one := range seen {
		if i, found := slices.BinarySearchFunc(known, one.rank, byRank); !found {
			known = slices.Insert(known, i, one)
		}
	}
	if len(known) > maxPlaces {
		for i := range len(known) / 2 { // every other one
			known[i] = known[2*i]
		}
		known = known[:len(known)/2]
	}
	p.lists[list] = known
}

func byRank(s standing, rank int) int { return cmp.Compare(s.rank, rank) }
