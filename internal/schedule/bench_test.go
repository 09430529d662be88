package schedule

import (
	"testing"
	"time"
)

var benchmarkStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func BenchmarkParse(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse("0 9 * * MON-FRI", "America/New_York"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new pattern", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parsePattern("0 9 * * MON-FRI"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse("0 9 * * FRIDAY", "America/New_York"); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	b.Run("new zone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := loadZone("America/New_York"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, pattern := range []string{
		"* * * * * *", "*/5 * * * *", "0 9 * * *", "0 9 * * MON-FRI", "0 0 L * *", "0 0 29 2 *", "0 0 30 2 *", "* * 29 2 *",
	} {
		for _, zone := range []string{"UTC", "America/New_York"} {
			b.Run(pattern+" "+zone, func(b *testing.B) {
				s, err := Parse(pattern, zone)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					s.Next(benchmarkStart)
				}
			})
		}
	}
}

// BenchmarkBetween is the 240 instants of four minutes of a job that runs every
// second.
func BenchmarkBetween(b *testing.B) {
	s, err := Parse("* * * * * *", "America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(s.Between(benchmarkStart, benchmarkStart.Add(4*time.Minute), 1000)); n != 240 {
			b.Fatalf("%d instants", n)
		}
	}
}

func BenchmarkWarnings(b *testing.B) {
	s, err := Parse("30 2 * * *", "America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Warnings(benchmarkStart)
	}
}
