package teams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/MicahParks/keyfunc/v3"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// keysFresh is how long keys are used without asking again, keysUsable how
	// long if they cannot be had. The Bot Framework asks to renew them at least
	// every 24 hours and says that they hold for five days:
	// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#step-3-get-the-list-of-valid-signing-keys
	keysFresh  = 24 * time.Hour
	keysUsable = 5 * 24 * time.Hour
	// Strangers make up key IDs, so these are the shortest times between two
	// fetches: after one that worked, and after one that failed.
	keysAgain = time.Minute
	keysRetry = time.Second
	// keysTimeout bounds both calls of a fetch together: the caller of the
	// handler waits for about 15 seconds.
	keysTimeout = 4 * time.Second
	// maxMetadata bounds each answer, maxKeys how many of the keys are read.
	maxMetadata = 1 << 20
	maxKeys     = 500
)

var (
	// errUnknownKey is why a token is refused that none of the keys signed.
	errUnknownKey = errors.New("the token was signed with a key that is not the Bot Framework's")
	// errKeysAway is why nothing can be said of a token.
	errKeysAway = errors.New("the keys of the Bot Framework cannot be had")
)

// keySet is what was fetched at one time. It never changes.
type keySet struct {
	keys keyfunc.Keyfunc
	// endorsements are the channels that each key may sign for, by its ID.
	endorsements map[string][]string
	fetched      time.Time
}

func (s *keySet) has(kid string) bool {
	if s == nil {
		return false
	}
	_, ok := s.endorsements[kid]
	return ok
}

// endorses says whether a key may sign for a channel of the Bot Framework.
func (s *keySet) endorses(kid, channel string) bool {
	return channel != "" && slices.Contains(s.endorsements[kid], channel)
}

// keyStore keeps the keys that sign the Bot Framework's tokens. Its methods can
// be called concurrently.
type keyStore struct {
	metadata, issuer string
	secure           func(*url.URL) bool
	http             *http.Client
	clock            chat.Clock
	log              *slog.Logger

	set atomic.Pointer[keySet]
	// turn holds one token; who has it may fetch, and read and write what is
	// below.
	turn  chan struct{}
	tried time.Time
	err   error
}

func newKeyStore(cfg Config, env chat.Env) *keyStore {
	set := cfg.cloud()
	s := &keyStore{
		metadata: set.metadata, issuer: set.issuer, secure: cfg.secure,
		http: env.HTTP, clock: env.Clock, log: env.Logger, turn: make(chan struct{}, 1),
	}
	s.turn <- struct{}{}
	return s
}

// get returns keys among which kid is, and fetches them if need be. It returns
// errUnknownKey if it is not among them and errKeysAway if that cannot be told.
func (s *keyStore) get(ctx context.Context, kid string) (*keySet, error) {
	set := s.set.Load()
	if set.has(kid) && s.since(set.fetched) < keysFresh {
		return set, nil
	}
	select {
	case <-s.turn:
	default:
		// Somebody is fetching. Keys that are a day old are good for now.
		if set.has(kid) && s.since(set.fetched) < keysUsable {
			return set, nil
		}
		select {
		case <-s.turn:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errKeysAway, context.Cause(ctx))
		}
	}
	defer func() { s.turn <- struct{}{} }()
	// Others need the keys too, so a caller that hangs up does not end a fetch.
	return s.renew(context.WithoutCancel(ctx), kid)
}

// warm fetches the keys before anybody needs them, so that the first message
// does not wait and what is wrong with them is known. Its error was logged.
func (s *keyStore) warm(ctx context.Context) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	if ctx.Err() != nil || s.set.Load() != nil {
		return ctx.Err()
	}
	if _, err := s.renew(ctx, ""); !errors.Is(err, errUnknownKey) {
		return err
	}
	return nil // there are some
}

// renew is get for who has the turn.
func (s *keyStore) renew(ctx context.Context, kid string) (*keySet, error) {
	set := s.set.Load()
	if set.has(kid) && s.since(set.fetched) < keysFresh {
		return set, nil // fetched while this call waited
	}
	pause := keysAgain
	if s.err != nil || set == nil {
		pause = keysRetry
	}
	if s.tried.IsZero() || s.since(s.tried) >= pause {
		fresh, err := s.fetch(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errKeysAway, ctx.Err()) // says nothing of the keys
		}
		s.tried, s.err = s.clock(), err
		if err == nil {
			s.set.Store(fresh)
			set = fresh
		} else {
			s.log.Warn("the keys of the Bot Framework were not fetched", "err", err)
		}
	}
	switch {
	case set.has(kid) && s.since(set.fetched) < keysUsable:
		return set, nil
	case s.err != nil:
		return nil, fmt.Errorf("%w: %w", errKeysAway, s.err)
	}
	return nil, errUnknownKey
}

// since is how long ago t was. A clock that was put back makes it long ago.
func (s *keyStore) since(t time.Time) time.Duration {
	if d := s.clock().Sub(t); d >= 0 {
		return d
	}
	return keysFresh
}

// fetch gets the metadata and then the keys that it names.
func (s *keyStore) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := s.read(ctx, s.metadata, &metadata); err != nil {
		return nil, fmt.Errorf("openid_metadata_url: %w", err)
	}
	if metadata.Issuer != s.issuer {
		return nil, fmt.Errorf("openid_metadata_url: it is the metadata of the issuer %.100q, want %q", metadata.Issuer, s.issuer)
	}
	at, err := url.Parse(metadata.JWKSURI)
	if err != nil || at.Hostname() == "" || at.User != nil || !s.secure(at) {
		return nil, errors.New("openid_metadata_url: its jwks_uri is no https:// URL")
	}
	var answer struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.read(ctx, metadata.JWKSURI, &answer); err != nil {
		return nil, fmt.Errorf("the jwks_uri of openid_metadata_url: %w", err)
	}
	return s.setOf(answer.Keys)
}

// read gets a document in JSON.
func (s *keyStore) read(ctx context.Context, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return errors.New("is no URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", req.URL.Host, withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered with %s", req.URL.Host, resp.Status)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && kind == "text/html" {
		return fmt.Errorf("%s answered with a page for people", req.URL.Host)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", req.URL.Host, withoutURL(err))
	case len(data) > maxMetadata:
		return fmt.Errorf("the answer of %s is longer than %d bytes", req.URL.Host, maxMetadata)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer of %s is not what it should be: %w", req.URL.Host, err)
	}
	return nil
}

// jwk is what is used of a key. What else it says, such as a certificate, is
// left out, so that it can do no harm.
type jwk struct {
	KeyType string `json:"kty"`
	Use     string `json:"use,omitempty"`
	Alg     string `json:"alg,omitempty"`
	ID      string `json:"kid"`
	N       string `json:"n"`
	E       string `json:"e"`
}

// setOf reads the keys. Those that cannot sign with RS256, or have no ID or
// that of an earlier one, are passed over.
func (s *keyStore) setOf(raw []json.RawMessage) (*keySet, error) {
	set := &keySet{endorsements: make(map[string][]string), fetched: s.clock()}
	var usable []jwk
	for _, one := range raw[:min(len(raw), maxKeys)] {
		var key struct {
			jwk
			Endorsements []string `json:"endorsements"`
		}
		if json.Unmarshal(one, &key) != nil || key.KeyType != "RSA" || key.ID == "" || set.has(key.ID) ||
			key.Use != "" && key.Use != "sig" || key.Alg != "" && key.Alg != algorithm {
			continue
		}
		alone, err := json.Marshal(map[string]any{"keys": []jwk{key.jwk}})
		if err != nil {
			continue
		}
		if _, err := keyfunc.NewJWKSetJSON(alone); err != nil {
			continue
		}
		set.endorsements[key.ID] = key.Endorsements
		usable = append(usable, key.jwk)
	}
	if len(usable) == 0 {
		return nil, errors.New("the jwks_uri of openid_metadata_url has no key for RS256")
	}
	all, err := json.Marshal(map[string]any{"keys": usable})
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be kept: %w", err)
	}
	if set.keys, err = keyfunc.NewJWKSetJSON(all); err != nil {
		return nil, fmt.Errorf("the keys cannot be used: %w", err)
	}
	return set, nil
}
