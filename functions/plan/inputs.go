package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

// maxInputBytes bounds an object that a request names: the resources and the targets of
// the largest request that is written without care fit.
const maxInputBytes = 16 << 20

// input reads an object of the run bucket that a request names at a path, and returns
// it with its digest. What is wrong with it is a problem of the request.
func (p Planner) input(ctx context.Context, named contract.InputObject, path *field.Path) ([]byte, contract.InputObject, field.ErrorList, error) {
	there, err := p.store.Exists(ctx, named.Key)
	if err != nil {
		return nil, named, nil, err
	}
	if !there {
		return nil, named, field.ErrorList{field.NotFound(path.Child("key"), named.Key)}, nil
	}
	body, err := p.read(ctx, named.Key)
	if err != nil {
		return nil, named, nil, err
	}
	if len(body) > maxInputBytes {
		return nil, named, field.ErrorList{field.Invalid(path.Child("key"), named.Key, fmt.Sprintf("is larger than %d bytes", maxInputBytes))}, nil
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	if named.SHA256 != "" && !strings.EqualFold(named.SHA256, digest) {
		return nil, named, field.ErrorList{field.Invalid(path.Child("sha256"), named.SHA256, "the object's digest is "+digest)}, nil
	}
	return body, contract.InputObject{Key: named.Key, SHA256: digest}, nil, nil
}

// read reads an object as far as it may be.
func (p Planner) read(ctx context.Context, key string) (body []byte, err error) {
	object, err := p.store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }() // what was read of it counts
	return io.ReadAll(io.LimitReader(object, maxInputBytes+1))
}
