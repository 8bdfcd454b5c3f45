package eksauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The token's form, as sigs.k8s.io/aws-iam-authenticator/pkg/token reads it.
const (
	tokenPrefix     = "k8s-aws-v1." //nolint:gosec // the form of a token, not one
	clusterIDHeader = "x-k8s-aws-id"
	// signedSeconds is the X-Amz-Expires of the presigned URL. It must be there
	// and at most 900; STS itself takes the URL for 15 minutes whatever it says.
	signedSeconds = 60
	// lifetime is how long a cluster takes a token, counted from its X-Amz-Date,
	// less a minute for clocks that differ.
	lifetime = 14 * time.Minute
)

// Token is a bearer token for one cluster.
type Token struct {
	// Value is the secret itself: it goes into the Authorization header and
	// nowhere else.
	Value string
	// Expires is when it ends: 14 minutes after it was minted, or when the
	// credentials behind it end, whichever comes first.
	Expires time.Time
}

// String keeps the secret out of messages and logs.
func (t Token) String() string { return "token that expires at " + t.Expires.Format(time.RFC3339) }

// GoString keeps it out of %#v too.
func (t Token) GoString() string { return t.String() }

// Mint makes a token from credentials. It calls nobody. The presigned URL names
// the Region's own STS host in its partition, which no endpoint override
// changes: the cluster, not this process, is who calls it.
func Mint(ctx context.Context, creds aws.Credentials, region, cluster string, now time.Time) (Token, error) {
	// Built from plain options, not from the function's configuration: that one
	// may carry an endpoint override.
	client := sts.New(sts.Options{
		Region:      region,
		Credentials: credentials.StaticCredentialsProvider{Value: creds},
	})
	request, err := sts.NewPresignClient(client).PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{},
		func(o *sts.PresignOptions) {
			o.Presigner = signAt{o.Presigner, now}
			o.ClientOptions = append(o.ClientOptions, func(o *sts.Options) {
				o.APIOptions = append(o.APIOptions,
					smithyhttp.SetHeaderValue(clusterIDHeader, cluster),
					smithyhttp.SetHeaderValue("X-Amz-Expires", strconv.Itoa(signedSeconds)))
			})
		})
	if err != nil {
		return Token{}, fmt.Errorf("presign the token for cluster %s in %s: %w", cluster, region, err)
	}
	expires := now.Add(lifetime)
	if creds.CanExpire && creds.Expires.Before(expires) {
		expires = creds.Expires
	}
	return Token{Value: tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(request.URL)), Expires: expires}, nil
}

// signAt is a presigner with a clock of its own: the SDK offers no other way to
// set the time of a signature.
type signAt struct {
	sts.HTTPPresignerV4
	now time.Time
}

func (s signAt) PresignHTTP(ctx context.Context, creds aws.Credentials, r *http.Request,
	payloadHash, service, region string, _ time.Time, options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	return s.HTTPPresignerV4.PresignHTTP(ctx, creds, r, payloadHash, service, region, s.now, options...)
}
