package teams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// algorithm is the only one that the Bot Framework signs with.
	algorithm = "RS256"
	// clockSkew is what clocks may differ by; see
	// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#step-4-verify-the-jwt-token
	clockSkew = 5 * time.Minute
	// maxToken is more than any token is long, in bytes.
	maxToken = 16 << 10
	// teamsChannel is what the Bot Framework calls Teams. A bot in Azure has Web
	// Chat and Direct Line as well, whose clients say themselves who they are.
	teamsChannel = "msteams"
)

// denial is why a call is not taken, and the HTTP status that says so.
type denial struct {
	status int
	err    error
}

func (r *denial) Error() string { return r.err.Error() }

func (r *denial) Unwrap() error { return r.err }

func denied(status int, format string, args ...any) *denial {
	return &denial{status: status, err: fmt.Errorf(format, args...)}
}

// claims are what a token says. The Bot Framework's say nothing of the tenant.
type claims struct {
	jwt.RegisteredClaims
	ServiceURL string `json:"serviceurl"`

	// kid and set are the key that signed it, and those it was found among.
	kid string
	set *keySet
}

// validator believes tokens that the Bot Framework made for this app. It takes
// the place of the validator of msbotbuilder-go. It can be used concurrently.
type validator struct {
	app, issuer string
	keys        *keyStore
	parser      *jwt.Parser
}

var _ auth.TokenValidator = (*validator)(nil)

func newValidator(cfg Config, env chat.Env) *validator {
	issuer := cfg.cloud().issuer
	return &validator{
		app: strings.ToLower(cfg.AppID), issuer: issuer, keys: newKeyStore(cfg, env),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{algorithm}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(),
			jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(env.Clock), jwt.WithStrictDecoding()),
	}
}

// credentials are what the library compares the audience with. The password is
// no business of who receives.
func (v *validator) credentials() auth.CredentialProvider {
	return auth.SimpleCredentialProvider{AppID: v.app}
}

// verify checks all of a token that can be checked without the activity: the
// signature, who made it, for whom, and when. Its error is a *denial.
func (v *validator) verify(ctx context.Context, header string) (*claims, error) {
	scheme, raw, ok := strings.Cut(header, " ")
	switch {
	case !ok || !strings.EqualFold(scheme, "Bearer") || raw == "":
		return nil, denied(http.StatusUnauthorized, "the call has no bearer token")
	case len(raw) > maxToken:
		return nil, denied(http.StatusUnauthorized, "the token is longer than %d bytes", maxToken)
	}
	said := &claims{}
	_, err := v.parser.ParseWithClaims(raw, said, func(token *jwt.Token) (any, error) {
		// Nothing is proven yet. What cannot be right must not cause a fetch.
		if err := v.fits(said); err != nil {
			return nil, err
		}
		kid, _ := token.Header["kid"].(string)
		if kid == "" {
			return nil, errUnknownKey
		}
		set, err := v.keys.get(ctx, kid)
		if err != nil {
			return nil, err
		}
		said.kid, said.set = kid, set
		return set.keys.KeyfuncCtx(ctx)(token)
	})
	switch {
	case err == nil:
		return said, nil
	case errors.Is(err, errKeysAway):
		return nil, denied(http.StatusServiceUnavailable, "%w", err)
	}
	return nil, denied(http.StatusUnauthorized, "%w", err)
}

// fits checks who made a token and for whom.
func (v *validator) fits(said *claims) error {
	switch {
	case said.Issuer != v.issuer:
		return fmt.Errorf("the token is of the issuer %.100q, want %q", said.Issuer, v.issuer)
	case v.app == "" || len(said.Audience) != 1 || !strings.EqualFold(said.Audience[0], v.app):
		return errors.New("the token was made for another app, not for app_id")
	}
	return nil
}

// AuthenticateRequest implements auth.TokenValidator. Beside what verify checks,
// the token must be for the service that the activity came from and its key for
// the activity's channel. Its error is a *denial.
func (v *validator) AuthenticateRequest(
	ctx context.Context, act schema.Activity, header string, credentials auth.CredentialProvider, _ string,
) (auth.ClaimsIdentity, error) {
	said, err := v.verify(ctx, header)
	if err != nil {
		return nil, err
	}
	switch {
	case !credentials.IsValidAppID(v.app):
		return nil, denied(http.StatusUnauthorized, "the token was made for another app, not for app_id")
	case said.ServiceURL == "" || said.ServiceURL != act.ServiceURL:
		return nil, denied(http.StatusForbidden, "the token is for another service than the activity's serviceUrl")
	case act.ChannelID != teamsChannel:
		return nil, denied(http.StatusForbidden, "the activity is of the channel %.100q, want %q", act.ChannelID, teamsChannel)
	case !said.set.endorses(said.kid, act.ChannelID):
		return nil, denied(http.StatusForbidden, "the key that signed the token is not endorsed for %q", act.ChannelID)
	}
	return identity{said}, nil
}

// identity is what a verified token says, for msbotbuilder-go. Its own panics
// on a claim that is not there.
type identity struct{ *claims }

var _ auth.ClaimsIdentity = identity{}

// GetClaimValue implements auth.ClaimsIdentity. A claim that is not there is
// empty.
func (i identity) GetClaimValue(name string) string {
	if i.claims == nil {
		return ""
	}
	switch name {
	case auth.IssuerClaim:
		return i.Issuer
	case auth.AudienceClaim:
		return strings.Join(i.Audience, " ")
	case auth.ServiceURLClaim:
		return i.ServiceURL
	}
	return ""
}

// IsAuthenticated implements auth.ClaimsIdentity.
func (i identity) IsAuthenticated() bool { return i.claims != nil }
