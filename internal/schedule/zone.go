package schedule

import (
	"archive/zip"
	_ "embed"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// zoneinfo is the time zone database of the Go distribution, the one that
// time/tzdata embeds. It is embedded here because there is no way to ask
// time/tzdata for it: time.LoadLocation prefers the files of the host, whose
// names, spelling (on a file system blind to case) and rules may be others. With
// its own copy the package answers the same everywhere, and the version of the
// rules is part of the version of the program.
//
//go:generate cp $GOROOT/lib/time/zoneinfo.zip zoneinfo.zip
//go:embed zoneinfo.zip
var zoneinfo string

// maxZoneBytes is more than the longest IANA name has.
const maxZoneBytes = 64

// zone is a time zone with its offsets laid out for walking.
type zone struct {
	name     string
	location *time.Location
	segments []segment
}

// ParseZone finds the zone of an IANA name, spelled exactly as in the time zone
// database: "Europe/Berlin", "UTC". Neither the empty name nor "Local" is one.
// The error is a *SyntaxError.
func ParseZone(name string) (*time.Location, error) {
	z, err := findZone(name)
	if err != nil {
		return nil, err
	}
	return z.location, nil
}

// zones keeps every zone that was asked for: *zone by name. Only names of the
// database get in, some 600, of about five kilobytes each.
var zones sync.Map

func findZone(name string) (*zone, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*zone), nil
	}
	z, err := loadZone(name)
	if err != nil {
		return nil, err
	}
	kept, _ := zones.LoadOrStore(z.name, z)
	return kept.(*zone), nil
}

func loadZone(name string) (*zone, error) {
	const want = "use an IANA name such as UTC or Europe/Berlin, in its exact spelling"
	if name == "" {
		return nil, zoneError("the time zone is empty; %s", want)
	}
	files := zoneFiles()
	file, ok := files[name]
	if !ok {
		if spelled, found := respell(files, name); found {
			return nil, zoneError("this time zone is spelled %s; %s", spelled, want)
		}
		return nil, zoneError("this time zone is not known; %s", want)
	}
	location, err := readZone(file)
	if err != nil {
		return nil, zoneError("this time zone cannot be read; %s", want)
	}
	return &zone{name: file.Name, location: location, segments: layOut(location)}, nil
}

// respell finds the name that differs from the given one in case alone.
func respell(files map[string]*zip.File, name string) (string, bool) {
	if len(name) > maxZoneBytes {
		return "", false
	}
	for spelled := range files {
		if strings.EqualFold(spelled, name) {
			return spelled, true
		}
	}
	return "", false
}

// zoneFiles is the directory of the database. It is empty if the database cannot
// be read, which a test rules out.
var zoneFiles = sync.OnceValue(func() map[string]*zip.File {
	files, _ := readDirectory(zoneinfo)
	return files
})

// readDirectory finds the files of a database, a zip archive, by name.
func readDirectory(content string) (map[string]*zip.File, error) {
	archive, err := zip.NewReader(strings.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	files := make(map[string]*zip.File, len(archive.File))
	for _, file := range archive.File {
		files[file.Name] = file
	}
	return files, nil
}

func readZone(file *zip.File) (*time.Location, error) {
	if file.Name == "UTC" {
		return time.UTC, nil
	}
	content, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	data, err := io.ReadAll(content)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(file.Name, data)
}

// ZoneNames lists every name that ParseZone accepts, in order.
func ZoneNames() []string {
	return slices.Sorted(maps.Keys(zoneFiles()))
}
