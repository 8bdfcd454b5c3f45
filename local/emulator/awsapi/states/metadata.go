package states

import (
	"net/http"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// sdkMetadata is what the results of the optimized integrations tell of their
// answer.
type sdkMetadata struct {
	SdkHttpMetadata     httpMetadata               //nolint:revive // Step Functions' spelling
	SdkResponseMetadata struct{ RequestId string } //nolint:revive // Step Functions' spelling
}

type httpMetadata struct {
	AllHttpHeaders http.Header       //nolint:revive // Step Functions' spelling
	HttpHeaders    map[string]string //nolint:revive // Step Functions' spelling
	HttpStatusCode int               //nolint:revive // Step Functions' spelling
}

func metadataOf(answer middleware.Metadata) (m sdkMetadata) {
	if response, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response); ok {
		m.SdkHttpMetadata = httpMetadata{
			AllHttpHeaders: response.Header, HttpHeaders: map[string]string{}, HttpStatusCode: response.StatusCode,
		}
		for name := range response.Header {
			m.SdkHttpMetadata.HttpHeaders[name] = response.Header.Get(name)
		}
	}
	m.SdkResponseMetadata.RequestId, _ = awsmiddleware.GetRequestIDMetadata(answer)
	return m
}
