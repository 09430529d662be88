package seed

import (
	"encoding/hex"
	"strconv"
	"time"
)

// rows is the text of a statement's rows. It is written by hand: with
// placeholders most of the time would go into them. Texts are the plan's own
// and hold nothing that needs to be escaped.
type rows struct {
	buf   []byte
	count int

	day     int64 // whose date is in date
	date    []byte
	started bool
}

func (t *rows) reset() { t.buf, t.count = t.buf[:0], 0 }

func (t *rows) begin() {
	if t.count > 0 {
		t.buf = append(t.buf, ',')
	}
	t.buf = append(t.buf, '(')
	t.started = false
}

func (t *rows) end() {
	t.buf = append(t.buf, ')')
	t.count++
}

func (t *rows) separate() {
	if t.started {
		t.buf = append(t.buf, ',')
	}
	t.started = true
}

func (t *rows) number(n int64) {
	t.separate()
	t.buf = strconv.AppendInt(t.buf, n, 10)
}

func (t *rows) numberOrNull(n int) {
	if n == 0 {
		t.null()
		return
	}
	t.number(int64(n))
}

func (t *rows) text(s string) {
	t.separate()
	t.buf = append(t.buf, '\'')
	t.buf = append(t.buf, s...)
	t.buf = append(t.buf, '\'')
}

// bytes is for what is no text.
func (t *rows) bytes(s string) {
	t.separate()
	t.buf = append(t.buf, "x'"...)
	t.buf = hex.AppendEncode(t.buf, []byte(s))
	t.buf = append(t.buf, '\'')
}

func (t *rows) textOrNull(s string) {
	if s == "" {
		t.null()
		return
	}
	t.text(s)
}

func (t *rows) null() {
	t.separate()
	t.buf = append(t.buf, "NULL"...)
}

const dayMillis = 24 * 60 * 60 * 1000

// instant writes Unix milliseconds as a DATETIME(3). Formatting by the time
// package would take longer than the rest of a row.
func (t *rows) instant(at int64) {
	t.separate()
	day := at / dayMillis
	if day != t.day || t.date == nil {
		t.day = day
		t.date = time.UnixMilli(day*dayMillis).UTC().AppendFormat(t.date[:0], "'2006-01-02 ")
	}
	t.buf = append(t.buf, t.date...)
	rest := int(at % dayMillis)
	ms, seconds := rest%1000, rest/1000
	two := func(n int, after byte) { t.buf = append(t.buf, byte('0'+n/10), byte('0'+n%10), after) }
	two(seconds/3600, ':')
	two(seconds/60%60, ':')
	two(seconds%60, '.')
	t.buf = append(t.buf, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), '\'')
}

func (t *rows) instantOrNull(at int64) {
	if at == 0 {
		t.null()
		return
	}
	t.instant(at)
}
