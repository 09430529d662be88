package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// console writes "15:04:05.000 level message  key=value …" lines.
type console struct {
	mu     *sync.Mutex
	w      io.Writer
	level  slog.Level
	prefix string // attributes of With, already written out
	group  string
}

func newConsole(w io.Writer, level slog.Level) *console {
	return &console{mu: &sync.Mutex{}, w: w, level: level}
}

func (h *console) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *console) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	line.WriteString(record.Time.Format("15:04:05.000 "))
	if record.Level != slog.LevelInfo {
		line.WriteString(strings.ToLower(record.Level.String()) + ": ")
	}
	line.WriteString(oneLine(record.Message))
	line.WriteString(h.prefix)
	record.Attrs(func(attr slog.Attr) bool {
		writeAttr(&line, h.group, attr)
		return true
	})
	line.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, line.String())
	return err
}

func (h *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	var text strings.Builder
	for _, attr := range attrs {
		writeAttr(&text, h.group, attr)
	}
	with := *h
	with.prefix += text.String()
	return &with
}

func (h *console) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + "."
	return &with
}

func writeAttr(line *strings.Builder, group string, attr slog.Attr) {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		for _, member := range value.Group() {
			writeAttr(line, group+attr.Key+".", member)
		}
		return
	}
	text := value.String()
	if value.Kind() == slog.KindAny {
		text = fmt.Sprint(value.Any())
	}
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || unicode.IsControl(r) }) {
		text = strconv.Quote(text)
	}
	line.WriteString(" " + group + attr.Key + "=" + text)
}

// oneLine keeps a message from forging further lines.
func oneLine(text string) string {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return strings.Trim(strconv.Quote(text), `"`)
	}
	return text
}
