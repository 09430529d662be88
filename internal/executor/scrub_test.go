package executor_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// TestSecretsAreScrubbed calls a target that repeats what it was sent.
func TestSecretsAreScrubbed(t *testing.T) {
	t.Parallel()
	const secret = `s3cret"<é>&/ value`
	target := listen(t, func(c *conn) {
		request, _ := c.request()
		text := fmt.Sprintf(`{"echo":%q,"json":"s3cret\"<é>&/ value","html":"s3cret\"\u003cé\u003e\u0026/ value","form":"s3cret%%22%%3C%%C3%%A9%%3E%%26%%2F+value","short":"ab"}`, request)
		c.say(ok, "X-Echo: ", "Bearer topsecret", "\r\nX-Other: topsecret,plain\r\nContent-Length: ", strconv.Itoa(len(text)), "\r\n\r\n", text)
		c.hang()
	})
	w := work("http://"+target.addr+"/", method("POST"), headers("Authorization", "Bearer topsecret", "X-Trace", "visible", "X-Token", "ab"), func(w *executor.Work) {
		w.Request.Body, w.Request.BodySecret = []byte(`{"password":"s3cret\"<é>&/ value","n":1}`), true
	})
	attempt := call(t, newClient(t), w)
	expect(t, attempt, "", 200, false)
	kept := string(attempt.Response.Body) + fmt.Sprint(attempt.Response.Headers)
	for _, hidden := range []string{"topsecret", secret, `s3cret\"`, "s3cret%22", `s3cret"`} {
		if strings.Contains(kept, hidden) {
			t.Errorf("%q is kept: %s", hidden, kept)
		}
	}
	for _, shown := range []string{"visible", "plain", `"short":"ab"`, "********"} {
		if !strings.Contains(kept, shown) {
			t.Errorf("%q is lost: %s", shown, kept)
		}
	}
}

// TestSecretsOfAnAddressAreScrubbed names a secret of the workspace in the address
// alone, and calls a target that repeats the request line as it came, and in the
// ways that others would write it.
func TestSecretsOfAnAddressAreScrubbed(t *testing.T) {
	t.Parallel()
	const value = "inner/Half+other=half&x"
	target := listen(t, func(c *conn) {
		request, _ := c.request()
		line, _, _ := strings.Cut(request, "\r\n")
		in := hex.EncodeToString([]byte(value))
		text := strings.Join([]string{line, value, in, strings.ToUpper(in)}, "\n")
		c.say(ok, "X-Line: ", line, "\r\nContent-Length: ", strconv.Itoa(len(text)), "\r\n\r\n", text)
		c.hang()
	})
	for _, address := range []string{"/a/{{secret.A}}?x", "/b?key={{secret.A}}"} {
		w := work("http://"+target.addr+address, func(w *executor.Work) {
			w.Vault = map[string]executor.VaultSecret{"A": {Value: value, AllowedHosts: []string{"127.0.0.1"}}}
		})
		attempt := call(t, newClient(t), w)
		expect(t, attempt, "", 200, false)
		kept := string(attempt.Response.Body) + fmt.Sprint(attempt.Response.Headers)
		for _, hidden := range []string{"Half", "other", hex.EncodeToString([]byte("other")), strings.ToUpper(hex.EncodeToString([]byte("other")))} {
			if strings.Contains(kept, hidden) {
				t.Errorf("%s: %q is kept: %s", address, hidden, kept)
			}
		}
	}
}

// TestBasicCredentialsAreScrubbedInParts hides the password and the pair, not the
// user's name.
func TestBasicCredentialsAreScrubbedInParts(t *testing.T) {
	t.Parallel()
	const text = "user=ada password=horsestaple ada:horsestaple"
	target := listen(t, answering(ok, "Content-Length: ", strconv.Itoa(len(text)), "\r\n\r\n", text))
	credential := base64.StdEncoding.EncodeToString([]byte("ada:horsestaple"))
	attempt := call(t, newClient(t), work("http://"+target.addr+"/", headers("Authorization", "basic "+credential)))
	expect(t, attempt, "", 200, false)
	if got := string(attempt.Response.Body); got != "user=ada password=******** ********" {
		t.Errorf("kept: %q", got)
	}
}

// TestSecretAcrossTheCut puts a secret where the body is cut off, be it by us
// or by the target.
func TestSecretAcrossTheCut(t *testing.T) {
	t.Parallel()
	const secret = "abcabcabd-topsecret"
	for inside := range len(secret) + 1 {
		for name, script := range map[string]func(c *conn){
			"by its size": func(c *conn) {
				c.request()
				c.say(ok, "Connection: close\r\n\r\n", strings.Repeat("x", execution.MaxResponseBody-inside), secret, strings.Repeat("y", 1000))
			},
			"by the target": func(c *conn) {
				c.request()
				c.say(ok, "Content-Length: 1000\r\n\r\n", "xxxx", secret[:inside])
			},
		} {
			t.Run(fmt.Sprintf("%s after %d bytes", name, inside), func(t *testing.T) {
				t.Parallel()
				target := listen(t, script)
				attempt := call(t, newClient(t), work("http://"+target.addr+"/", headers("X-Token", secret)))
				kept := string(attempt.Response.Body)
				if rest := strings.TrimLeft(kept, "x"); rest != "" && rest != "********" {
					t.Errorf("the body ends with %q", rest)
				}
				if !attempt.Response.Truncated {
					t.Error("the body does not count as truncated")
				}
			})
		}
	}
}

// TestMasksDoNotOutgrowTheLimit hides many short secrets behind longer masks.
func TestMasksDoNotOutgrowTheLimit(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "Content-Length: 65536\r\n\r\n", strings.Repeat("pin4,pin", 8<<10)))
	attempt := call(t, newClient(t), work("http://"+target.addr+"/", headers("X-Token", "pin4")))
	expect(t, attempt, "", 200, false)
	if n := len(attempt.Response.Body); n != execution.MaxResponseBody || !attempt.Response.Truncated {
		t.Errorf("%d bytes are kept, truncated is %t", n, attempt.Response.Truncated)
	}
}
