package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// mostZipped is what a function may weigh as it is uploaded: a fifth of the 50 MB
// that Lambda takes without a detour by S3, and little to fetch at a start.
const mostZipped = 10 << 20

// size is that of a built function, in bytes.
type size struct{ binary, zipped int64 }

// sizeOf packs a binary as a deployment does.
func sizeOf(path string) (size, error) {
	file, err := os.Open(path)
	if err != nil {
		return size{}, fmt.Errorf("size: %w", err)
	}
	defer func() { _ = file.Close() }()
	var packed counter
	archive := zip.NewWriter(&packed)
	entry, err := archive.Create("bootstrap")
	if err != nil {
		return size{}, fmt.Errorf("size: %w", err)
	}
	binary, err := io.Copy(entry, file)
	if err := errors.Join(err, archive.Close()); err != nil {
		return size{}, fmt.Errorf("size: %w", err)
	}
	return size{binary, int64(packed)}, nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func tooLarge(sizes map[string]size) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if zipped := sizes[name].zipped; zipped > mostZipped {
			faults = append(faults, fmt.Errorf("%s is %s MB zipped, more than %s", name, megabytes(zipped), megabytes(mostZipped)))
		}
	}
	return errors.Join(faults...)
}

// table prints medians in Markdown.
func table(results map[string][]measurement, sizes map[string]size) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Medians of %d starts; %d processors, %s %s/%s.\n\n", len(results[api.name]),
		runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	out.WriteString("| function | asks for an event, ms | first answer, ms | slowest, ms | memory, MB | binary, MB | zipped, MB |\n|---|---|---|---|---|---|---|\n")
	for _, f := range []function{api, tick, executor, migrate} {
		starts := results[f.name]
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s |\n", f.name,
			milliseconds(median(starts, func(m measurement) time.Duration { return m.ready })),
			milliseconds(median(starts, func(m measurement) time.Duration { return m.answered })),
			milliseconds(slices.MaxFunc(starts, func(a, b measurement) int { return int(a.answered - b.answered) }).answered),
			megabytes(median(starts, func(m measurement) int64 { return m.peak })),
			megabytes(sizes[f.name].binary), megabytes(sizes[f.name].zipped))
	}
	return out.String()
}

func median[T time.Duration | int64](starts []measurement, of func(measurement) T) T {
	values := make([]T, len(starts))
	for i, m := range starts {
		values[i] = of(m)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Microseconds())/1000) }

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "not known"
	}
	return fmt.Sprintf("%.1f", float64(bytes)/(1<<20))
}
