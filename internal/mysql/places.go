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
// What it remembers bears the generations that were read before it (see kept),
// and is used only where the stored ones are still the same.
type places struct {
	mu    sync.Mutex
	of    generations
	since time.Time
	lists map[placeList][]standing // each in ascending order
	sizes map[placeList]int        // how many jobs a part holds
}

// newPlaces are places for lists of each kind of order: what those of one kind
// remember is true for longer than what those of another do.
func newPlaces() map[subject]*places {
	return map[subject]*places{"": {}, schedulesMoved: {}, runsFolded: {}}
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

// At most so many parts of lists are remembered, each with so many places.
const (
	maxPlaceLists = 64
	maxPlaces     = 256
)

func listOf(filter job.Filter, part stretch) placeList {
	filter.Offset, filter.Limit, filter.Descending = 0, 0, false
	return placeList{filter, part.where + string(part.status)}
}

// reads reports that what is remembered is of these generations.
func (p *places) reads(of generations) bool { return p.of == of && time.Since(p.since) < keptAge }

// begin forgets what is remembered of other generations.
func (p *places) begin(of generations, list placeList) {
	_, sized := p.sizes[list]
	if !p.reads(of) || len(p.lists)+len(p.sizes) >= maxPlaceLists && p.lists[list] == nil && !sized {
		p.of, p.since, p.lists, p.sizes = of, time.Now(), map[placeList][]standing{}, map[placeList]int{}
	}
}

// size is how many jobs a part of a list holds, where that is known.
func (p *places) size(of generations, list placeList) (n int, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reads(of) {
		return 0, false
	}
	n, known = p.sizes[list]
	return n, known
}

// learnSize remembers how many jobs a part was seen to hold.
func (p *places) learnSize(of generations, list placeList, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(of, list)
	p.sizes[list] = n
}

// around are the known places that are nearest to ranks from lo to before hi: at
// or before their first, and at or behind their last. nil where there is none.
func (p *places) around(of generations, list placeList, lo, hi int) (before, behind *standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reads(of) {
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

// learn remembers places as they were seen in some generations.
func (p *places) learn(of generations, list placeList, seen ...standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(of, list)
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
