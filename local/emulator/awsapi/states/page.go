package states

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
)

// pageSize applies the API's default and limit.
func pageSize(maxResults int32) (int, error) {
	switch {
	case maxResults < 0 || maxResults > 1000:
		return 0, fault("ValidationException", "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 0 and 1000", maxResults)
	case maxResults == 0:
		return 100, nil
	}
	return int(maxResults), nil
}

// tokenFor makes the token of the page that begins at a position.
func tokenFor(position int) *string {
	token := base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "at %d", position))
	return &token
}

// positionOf reads a token; none is the start.
func positionOf(token *string) (int, error) {
	if token == nil {
		return 0, nil
	}
	text, err := base64.URLEncoding.DecodeString(*token)
	if err == nil && len(text) > 3 {
		var position int
		if position, err = strconv.Atoi(string(text[3:])); err == nil && position >= 0 {
			return position, nil
		}
	}
	return 0, fault("InvalidToken", "Invalid Token: '%s'", *token)
}

// lastPage is page from the end of the list, in reverse. Its token holds how
// many of the oldest are left, which what is added later does not change.
func lastPage[T any](all []T, maxResults int32, token *string) ([]T, *string, error) {
	size, err := pageSize(maxResults)
	if err != nil {
		return nil, nil, err
	}
	left, err := positionOf(token)
	if err != nil {
		return nil, nil, err
	}
	if token == nil {
		left = len(all)
	}
	left = min(left, len(all))
	from := max(left-size, 0)
	out := slices.Clone(all[from:left])
	slices.Reverse(out)
	if from == 0 {
		return out, nil, nil
	}
	return out, tokenFor(from), nil
}

// page cuts one page out of a list that only grows at its end, and gives the
// next page's token.
func page[T any](all []T, maxResults int32, token *string) ([]T, *string, error) {
	size, err := pageSize(maxResults)
	if err != nil {
		return nil, nil, err
	}
	from, err := positionOf(token)
	if err != nil {
		return nil, nil, err
	}
	from = min(from, len(all))
	to := min(from+size, len(all))
	if to == len(all) {
		return all[from:to], nil, nil
	}
	return all[from:to], tokenFor(to), nil
}
