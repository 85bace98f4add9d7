package teams

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/schema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// The library's own validator believes some of these, and panics on others.
func TestVerify(t *testing.T) {
	t.Parallel()
	const ok, no = http.StatusOK, http.StatusUnauthorized
	type m = map[string]any
	for name, one := range map[string]struct {
		change func(header, claims m, now int64)
		want   int
	}{
		"as it is":                    {func(_, _ m, _ int64) {}, ok},
		"no type":                     {func(h, _ m, _ int64) { delete(h, "typ") }, ok},
		"no beginning":                {func(_, c m, _ int64) { delete(c, "nbf") }, ok},
		"app in capitals":             {func(_, c m, _ int64) { c["aud"] = strings.ToUpper(farApp) }, ok},
		"app in a list":               {func(_, c m, _ int64) { c["aud"] = []string{farApp} }, ok},
		"begins within the skew":      {func(_, c m, now int64) { c["nbf"] = now + 299 }, ok},
		"ended within the skew":       {func(_, c m, now int64) { c["exp"] = now - 299 }, ok},
		"begins later":                {func(_, c m, now int64) { c["nbf"] = now + 301 }, no},
		"ended":                       {func(_, c m, now int64) { c["exp"] = now - 301 }, no},
		"never ends":                  {func(_, c m, _ int64) { delete(c, "exp") }, no},
		"ends at a text":              {func(_, c m, _ int64) { c["exp"] = "tomorrow" }, no},
		"ends at null":                {func(_, c m, _ int64) { c["exp"] = nil }, no},
		"ends after all time":         {func(_, c m, _ int64) { c["exp"] = 1e300 }, no},
		"no issuer":                   {func(_, c m, _ int64) { delete(c, "iss") }, no},
		"issuer of a list":            {func(_, c m, _ int64) { c["iss"] = []string{farIssuer} }, no},
		"issuer with more":            {func(_, c m, _ int64) { c["iss"] = farIssuer + "/" }, no},
		"the government's issuer":     {func(_, c m, _ int64) { c["iss"] = governmentCloud.issuer }, no},
		"Entra's issuer":              {func(_, c m, _ int64) { c["iss"] = "https://login.microsoftonline.com/" + farTenant + "/v2.0" }, no},
		"app of a number":             {func(_, c m, _ int64) { c["aud"] = 7 }, no},
		"no app in a list":            {func(_, c m, _ int64) { c["aud"] = []string{} }, no},
		"an empty app":                {func(_, c m, _ int64) { c["aud"] = "" }, no},
		"a list of lists":             {func(_, c m, _ int64) { c["aud"] = [][]string{{farApp}} }, no},
		"unknown key":                 {func(h, _ m, _ int64) { h["kid"] = "unknown" }, no},
		"key that cannot sign so":     {func(h, _ m, _ int64) { h["kid"] = "elliptic" }, no},
		"another algorithm":           {func(h, _ m, _ int64) { h["alg"] = "PS256" }, no},
		"algorithm in small letters":  {func(h, _ m, _ int64) { h["alg"] = "rs256" }, no},
		"no algorithm":                {func(h, _ m, _ int64) { delete(h, "alg") }, no},
		"algorithm of a number":       {func(h, _ m, _ int64) { h["alg"] = 256 }, no},
		"service of a number":         {func(_, c m, _ int64) { c["serviceurl"] = 1 }, no},
		"its own key in the header":   {func(h, _ m, _ int64) { h["kid"], h["jwk"] = "own", jwkOf(otherKey(), "own") }, no},
		"an address in the header":    {func(h, _ m, _ int64) { h["kid"], h["jku"] = "own", "https://example.com" }, no},
		"made long from now, skew":    {func(_, c m, now int64) { c["iat"] = now + 86400 }, ok},
		"claims that nobody asks for": {func(_, c m, _ int64) { c["more"] = m{"deep": []int{1}} }, ok},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := check(t)
			token := c.token(func(h, cl map[string]any) { one.change(h, cl, c.hands.clock().Unix()) })
			assert.Equal(t, one.want, c.status(t, "Bearer "+token))
			assert.Equal(t, one.want, c.status(t, "bearer "+token))
		})
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	c := check(t)
	good := c.token()
	parts := strings.Split(good, ".")
	header := map[string]any{"alg": "RS256", "kid": "good"}
	hs := func(key []byte) string {
		h, _ := json.Marshal(map[string]any{"alg": "HS256", "kid": "good"})
		text := b64(h) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + b64(mac.Sum(nil))
	}
	none, _ := json.Marshal(map[string]any{"alg": "none", "kid": "good"})
	for name, token := range map[string]string{
		"another's key":           sign(otherKey(), header, c.claims()),
		"none":                    parts[0] + "." + parts[1] + ".",
		"another token's":         parts[0] + "." + parts[1] + "." + strings.Split(c.token(func(_, c map[string]any) { c["x"] = 1 }), ".")[2],
		"cut":                     good[:len(good)-4],
		"with more":               good + "AAAA",
		"with a fourth part":      good + ".AAAA",
		"padded":                  good + "==",
		"HS256 with the modulus":  hs(goodKey().N.Bytes()),
		"HS256 with an empty key": hs(nil),
		"algorithm none":          b64(none) + "." + parts[1] + ".",
		"blank in front":          " " + good,
	} {
		assert.Equal(t, http.StatusUnauthorized, c.status(t, "Bearer "+token), name)
	}
	assert.Equal(t, http.StatusOK, c.status(t, "Bearer "+good))
}

func TestAuthenticateRequest(t *testing.T) {
	t.Parallel()
	c := check(t)
	authenticate := func(act schema.Activity, header string) (auth.ClaimsIdentity, error) {
		return c.v.AuthenticateRequest(t.Context(), act, header, c.v.credentials(), "")
	}
	id, err := authenticate(c.activityOf(), c.goodHeader())
	require.NoError(t, err)
	assert.True(t, id.IsAuthenticated())
	assert.Equal(t, farIssuer, id.GetClaimValue(auth.IssuerClaim))
	assert.Equal(t, farApp, id.GetClaimValue(auth.AudienceClaim))
	assert.Equal(t, c.serviceURL(), id.GetClaimValue(auth.ServiceURLClaim))
	assert.Empty(t, id.GetClaimValue("azp"), "the library's panics")
	assert.Empty(t, identity{}.GetClaimValue(auth.IssuerClaim))
	assert.False(t, identity{}.IsAuthenticated())

	for name, one := range map[string]struct {
		act    func(a *schema.Activity)
		header string
		want   int
	}{
		"another service":    {func(a *schema.Activity) { a.ServiceURL += "x" }, c.goodHeader(), http.StatusForbidden},
		"no service":         {func(a *schema.Activity) { a.ServiceURL = "" }, c.goodHeader(), http.StatusForbidden},
		"another channel":    {func(a *schema.Activity) { a.ChannelID = "webchat" }, c.goodHeader(), http.StatusForbidden},
		"no channel":         {func(a *schema.Activity) { a.ChannelID = "" }, c.goodHeader(), http.StatusForbidden},
		"key not endorsed":   {func(*schema.Activity) {}, c.signedBy("elsewhere"), http.StatusForbidden},
		"no claim of it":     {func(*schema.Activity) {}, "Bearer " + c.token(func(_, cl map[string]any) { delete(cl, "serviceurl") }), http.StatusForbidden},
		"neither has it":     {func(a *schema.Activity) { a.ServiceURL = "" }, "Bearer " + c.token(func(_, cl map[string]any) { delete(cl, "serviceurl") }), http.StatusForbidden},
		"no token":           {func(*schema.Activity) {}, "", http.StatusUnauthorized},
		"token without more": {func(*schema.Activity) {}, c.token(), http.StatusUnauthorized},
	} {
		act := c.activityOf()
		one.act(&act)
		id, err := authenticate(act, one.header)
		assert.Nil(t, id, name)
		assert.Equal(t, one.want, statusOf(t, err), name)
	}
}

// The library believes everybody if the app has no ID and the header makes no
// sense.
func TestAnEmptyAppIDBelievesNobody(t *testing.T) {
	t.Parallel()
	_, err := New(Config{AppPassword: "x", TenantID: farTenant}, chat.Env{})
	require.ErrorContains(t, err, "app_id")

	c := check(t)
	c.v.app = ""
	nobody := auth.SimpleCredentialProvider{}
	require.True(t, nobody.IsAuthenticationDisabled(), "the library's way to switch it off")
	for _, header := range []string{"", "nonsense", "Bearer", "Bearer x", "Bearer " + c.token(func(_, cl map[string]any) { cl["aud"] = "" }), c.goodHeader()} {
		id, err := c.v.AuthenticateRequest(t.Context(), c.activityOf(), header, nobody, "")
		assert.Nil(t, id)
		assert.Equal(t, http.StatusUnauthorized, statusOf(t, err), header)
	}
}

// Issuer and keys belong together.
func TestTheGovernmentsCloud(t *testing.T) {
	t.Parallel()
	cfg := Config{AppID: farApp, AppPassword: "x", TenantID: farTenant, OpenIDMetadataURL: governmentCloud.metadata}
	require.NoError(t, cfg.Validate())
	assert.Equal(t, governmentCloud, cfg.cloud())
	assert.Equal(t, "https://login.microsoftonline.us/"+farTenant+"/oauth2/v2.0/token", cfg.tokenURL())
	v := newValidator(cfg, chat.Env{Clock: time.Now})
	require.NoError(t, v.fits(&claims{RegisteredClaims: registered(governmentCloud.issuer)}))
	require.Error(t, v.fits(&claims{RegisteredClaims: registered(publicCloud.issuer)}))
}

func registered(issuer string) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{Issuer: issuer, Audience: jwt.ClaimStrings{farApp}}
}

func FuzzVerify(f *testing.F) {
	hand := newHands()

	keys := newKeyStore(Config{}, chat.Env{Clock: hand.clock})
	raw, _ := json.Marshal(jwkOf(goodKey(), "good", "msteams"))
	set, err := keys.setOf([]json.RawMessage{raw})
	if err != nil {
		f.Fatal(err)
	}
	v := newValidator(Config{AppID: farApp}, chat.Env{Clock: hand.clock})
	v.keys.set.Store(set)
	v.keys.tried = hand.clock() // no fetch

	token := sign(goodKey(), map[string]any{"alg": "RS256", "kid": "good"}, map[string]any{
		"iss": farIssuer, "aud": farApp, "exp": hand.clock().Unix() + 60,
	})
	parts := strings.Split(token, ".")
	h, c := []byte(`{"alg":"RS256","kid":"good"}`), []byte(`{"iss":"https://api.botframework.com","aud":"`+farApp+`","exp":1e300}`)
	f.Add("Bearer "+token, h, c)
	f.Add("Bearer "+parts[0]+"."+parts[1]+".", []byte(`{"alg":"none"}`), []byte(`{"aud":[null]}`))
	f.Add("Bearer a.b.c", []byte(`null`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, header string, head, body []byte) {
		if _, err := v.verify(t.Context(), header); err == nil && header[len("Bearer "):] != token {
			t.Errorf("%q was believed", header)
		}
		if _, err := v.verify(t.Context(), "Bearer "+b64(head)+"."+b64(body)+"."+parts[2]); err == nil {
			t.Errorf("%s %s was believed", head, body)
		}
	})
}
