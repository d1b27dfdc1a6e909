package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	maxBody     = 64 << 10
	bodyTimeout = 10 * time.Second
)

// readBody reads a request's JSON object into v. What it does not take, it answers, and returns false.
func readBody(w http.ResponseWriter, r *http.Request, v any) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	if err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") {
		w.Header().Set("Accept", "application/json")
		answerError(w, http.StatusUnsupportedMediaType, "the request must be of Content-Type application/json, in UTF-8")
		return false
	}
	// Not every ResponseWriter has deadlines (those of tests do not).
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		answerError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d bytes", maxBody))
		return false
	}
	if err == nil {
		err = decodeStrictly(text, v)
	}
	if err != nil {
		answerError(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

// decodeStrictly takes one JSON object of known fields and nothing after it.
func decodeStrictly(text []byte, v any) error {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if first := strings.TrimLeft(string(text), " \t\r\n"); !strings.HasPrefix(first, "{") {
		return errors.New("the request is not a JSON object such as {}")
	}
	if err := dec.Decode(v); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%q may not be of type %s", wrong.Field, wrong.Value)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the request's JSON is cut short")
		}
		return fmt.Errorf("the request's JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request has something after its JSON object")
	}
	return nil
}
