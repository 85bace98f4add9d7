package tencent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/letserverrun/skadi/core/chat"
)

// Error is an answer that is no success.
type Error struct {
	// Status is that of HTTP, and mostly 200.
	Status int
	// Code is Tencent's errcode; 0 where the answer has none.
	Code int64
	// Text is Tencent's errmsg, or what is wrong with the answer.
	Text       string
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	text := "Tencent answered"
	if e.Status != http.StatusOK {
		text = strings.TrimSpace(fmt.Sprintf("%s %d %s", text, e.Status, http.StatusText(e.Status)))
	}
	if e.Code != 0 {
		text += fmt.Sprintf(" errcode %d", e.Code)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// The codes that both kinds of account have, as
// https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html
// and https://developer.work.weixin.qq.com/document/path/90313 list them.
const (
	codeBusy         = -1
	codeInvalidToken = 40001
	codeBadToken     = 40014
	codeSpentToken   = 42001
)

// classes say what codes mean; others are Permanent.
var classes = map[int64]chat.Class{
	codeBusy:         chat.Temporary,
	codeInvalidToken: chat.Auth, // also of a wrong secret
	codeBadToken:     chat.Auth,
	codeSpentToken:   chat.Auth,
	40002:            chat.Auth,        // the grant type
	40013:            chat.Auth,        // the app ID or corp ID
	40125:            chat.Auth,        // the app secret
	40164:            chat.Auth,        // this machine's address is not on the list
	41001:            chat.Auth,        // no token
	41002:            chat.Auth,        // no app ID
	41004:            chat.Auth,        // no secret
	48001:            chat.Auth,        // the account may not make the call
	50001:            chat.Auth,        // nor this one
	50002:            chat.Auth,        // the account is restricted
	61024:            chat.Auth,        // the token is of another platform
	45009:            chat.RateLimited, // calls a day
	45011:            chat.RateLimited, // calls a minute
	45033:            chat.RateLimited, // calls at a time
}

// refused reports whether an access token was not taken, so that a new one may
// be.
func refused(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code == codeInvalidToken || e.Code == codeBadToken || e.Code == codeSpentToken
}

// classify sorts an error of a call. Codes in own take the place of the shared
// ones.
func classify(err error, own map[int64]chat.Class) error {
	if err == nil {
		return nil
	}
	var sorted *chat.SendError
	if errors.As(err, &sorted) {
		return err
	}
	var e *Error
	if !errors.As(err, &e) {
		return &chat.SendError{Class: chat.Temporary, Err: withoutURL(err)}
	}
	se := &chat.SendError{Class: statusClass(e.Status), RetryAfter: e.RetryAfter, Err: e}
	if e.Code != 0 {
		se.Class = chat.Permanent
		if class, ok := classes[e.Code]; ok {
			se.Class = class
		}
		if class, ok := own[e.Code]; ok {
			se.Class = class
		}
	}
	return se
}

// statusClass is what a status of HTTP means by itself. Of 200 without an error
// code it is the body that cannot be read, mostly that of a gateway; a redirect
// is not followed.
func statusClass(status int) chat.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return chat.Auth
	case http.StatusTooManyRequests:
		return chat.RateLimited
	case http.StatusNotFound, // of a gateway that is not set up yet
		http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooEarly:
		return chat.Temporary
	}
	if status >= 400 && status < 500 {
		return chat.Permanent
	}
	return chat.Temporary
}

// Codes returns the codes of the shared table, for tests of completeness.
func Codes() []int64 { return slices.Sorted(maps.Keys(classes)) }

// oneLine shortens what Tencent says of an error and takes out what ends a line.
func oneLine(text string) string {
	const most = 200
	text = strings.Join(strings.FieldsFunc(chat.Readable(text), unicode.IsSpace), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// again returns the body of an answer that was read, for the library to read.
func (a answer) again() io.ReadCloser { return io.NopCloser(bytes.NewReader(a.body)) }
