package crontab

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, command string
		want          []string
	}{
		{"plain", "curl  -s\thttps://a.example/x ", []string{"curl", "-s", "https://a.example/x"}},
		{"single quotes", `a 'b "$c" \n ` + "`d`" + `' ''`, []string{"a", `b "$c" \n ` + "`d`", ""}},
		{"double quotes", `"a \"b\" \\ \$c \x 'd'"`, []string{`a "b" \ $c \x 'd'`}},
		{"parts of one word", `a'b'"c"\ d`, []string{"abc d"}},
		{"escapes outside", `\a\ \'\"\$\;`, []string{`a '"$;`}},
		{"ansi", `$'a\tb\'\x41\101é\U1F600\n\q\cA\x'`, []string{"a\tb'AAé😀\n\\q\x01\\x"}},
		{"translated", `$"a b"`, []string{"a b"}},
		{"lone dollars", `a$ "b$" $/ "$ " $'` + `x'`, []string{"a$", "b$", "$/", "$ ", "x"}},
		{"comment", `a b#c # d | e`, []string{"a", "b#c"}},
		{"silence", `a >/dev/null 2>&1`, []string{"a"}},
		{"more silence", `a &>/dev/null 2>>/dev/null </dev/null >|'/dev/null' 1>&2 2>&- b`, []string{"a", "b"}},
		{"silence in a bashism", `a >&/dev/null`, []string{"a"}},
		{"digits are a word", `a 5 >/dev/null 7`, []string{"a", "5", "7"}},
		{"digits of a word", `a x2>/dev/null`, []string{"a", "x2"}},
		{"quoted digits", `a '2'>/dev/null`, []string{"a", "2"}},
		{"signs that mean themselves", `a{b,c}*?[d]!=~^%:,@`, []string{"a{b,c}*?[d]!=~^%:,@"}},
		{"unicode", `"é ü" 日本`, []string{"é ü", "日本"}},
		{"nothing", "  ", nil},
	}
	for _, test := range tests {
		got, err := splitWords(test.command)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", test.name, err, diff)
		}
	}
}

func TestCommandsThatAreNoSingleCall(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]error{
		`a $b`: errVariable, `a "$b"`: errVariable, `a ${b}`: errVariable, `a "${b:-c}"`: errVariable, `a $1`: errVariable, `a $?`: errVariable, `a $$`: errVariable,
		"a `b`": errSubcommand, "a \"`b`\"": errSubcommand, `a $(b)`: errSubcommand, `a "$(b)"`: errSubcommand, `a $((1+1))`: errSubcommand,
		`a <(b)`: errSubcommand, `a >(b)`: errSubcommand,
		`a | b`: errPipe, `a|&b`: errPipe, `a || b`: errChain, `a && b`: errChain, `a; b`: errChain, `a & b`: errChain, `a?x=1&b=2`: errChain,
		`(a)`: errGroup, `a 'b`: errUnclosed, `a "b`: errUnclosed, `a $'b\`: errUnclosed, `a $'b`: errUnclosed, `a \`: errBackslash,
		`a > b`: errFile, `a >> /var/log/x 2>&1`: errFile, `a < b`: errFile, `a << EOF`: errFile, `a <<< b`: errFile, `a <> b`: errFile, `a >`: errFile, `a 2> >b`: errFile, `a &> x`: errFile,
		`a ~/b`: errTilde, `a ~`: errTilde, "a \x00": errControl, "a '\x00'": errControl, `a $'\x00'`: errControl, `a $'\0'`: errControl, `a $'\u0000'`: errControl, `a $'\c@'`: errControl,
	} {
		if got, err := splitWords(command); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v, want %v", command, got, err, want)
		}
	}
}

func TestWordsOfHostileDepth(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"$(", "`", "(", "${", `"`, `"$`, "'", "a ", "<<", `\`, `$'\`, "{", "if "} {
		_, _ = splitWords(strings.Repeat(part, 200_000))
	}
}
