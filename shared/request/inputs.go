package request

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/shared/strictjson"
)

const (
	// maxInputKey is the largest length of a key in S3.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	maxInputKey = 1_024
	// maxResourcesFile is the largest size of the object that resourceFrom names, in
	// bytes.
	maxResourcesFile = 1 << 20
	// MaxInputBytes is that of the object that targetsFrom names, the larger of the two.
	MaxInputBytes = 4 << 20
)

var sha256Hex = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// input checks what names an object of the run bucket.
func (p *parser) input(given contract.InputObject, path *field.Path) *contract.InputObject {
	switch at := path.Child("key"); {
	case given.Key == "":
		p.add(field.Required(at, "must be the key of an object below "+runs.Inputs))
	case len(given.Key) > maxInputKey:
		p.add(field.TooLong(at, "", maxInputKey))
	case !strings.HasPrefix(given.Key, runs.Inputs) || strings.HasSuffix(given.Key, "/") || strings.Contains(given.Key, ".."):
		p.add(field.Invalid(at, shorten(given.Key), "must be the key of an object below "+runs.Inputs))
	}
	if given.SHA256 != "" && !sha256Hex.MatchString(given.SHA256) {
		p.add(field.Invalid(path.Child("sha256"), shorten(given.SHA256), "must be 64 hexadecimal digits"))
	}
	return &given
}

// ReadResources reads the object that ResourceFrom names, with the same checks as those
// of resources in the request, and notes its digest in ResourceFrom.
func (p *Parsed) ReadResources(body []byte) field.ErrorList {
	path := field.NewPath("resourceFrom")
	read := parser{Parsed: *p}
	read.Resources = nil // of a reading before
	if read.checkInput(read.ResourceFrom, body, maxResourcesFile, path) {
		documents, err := split(body, path)
		if err != nil {
			return field.ErrorList{err}
		}
		read.read(documents, path)
	}
	if read.known {
		read.bind(field.NewPath("overrides"))
	}
	if len(read.problems) == 0 {
		*p = read.Parsed
	}
	return read.problems
}

// ReadTargets reads the object that TargetsFrom names, with the same checks as those of
// targets in the request, and notes its digest in TargetsFrom.
func (p *Parsed) ReadTargets(body []byte, scope regions.Scope) field.ErrorList {
	path := field.NewPath("targetsFrom")
	read := parser{Parsed: *p, scope: scope}
	if !read.checkInput(read.TargetsFrom, body, MaxInputBytes, path) {
		return read.problems
	}
	if !json.Valid(body) || !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a JSON array such as targets")}
	}
	// In an object, so that the paths of mistakes begin with its name.
	var given struct {
		TargetsFrom []contract.TargetSelector `json:"targetsFrom"`
	}
	if problems := strictjson.Unmarshal(fmt.Appendf(nil, `{"targetsFrom": %s}`, body), &given, nil, "targetsFrom"); len(problems) > 0 {
		return problems
	}
	read.Targets = read.selectors(given.TargetsFrom, path)
	if len(read.problems) == 0 {
		*p = read.Parsed
	}
	return read.problems
}

// Inputs are the objects of the run bucket that the request names.
func (p Parsed) Inputs() []contract.InputObject {
	var inputs []contract.InputObject
	for _, from := range []*contract.InputObject{p.ResourceFrom, p.TargetsFrom} {
		if from != nil {
			inputs = append(inputs, *from)
		}
	}
	return inputs
}

// checkInput checks the size and the digest of an object, notes the digest, and says
// whether to read on.
func (p *parser) checkInput(from *contract.InputObject, body []byte, most int, path *field.Path) bool {
	if len(body) > most {
		p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("%s is %d bytes: at most %d are accepted", from.Key, len(body), most)))
		return false
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	if from.SHA256 != "" && !strings.EqualFold(from.SHA256, digest) {
		p.add(field.Invalid(path.Child("sha256"), from.SHA256, fmt.Sprintf("%s has the digest %s", from.Key, digest)))
		return false
	}
	from.SHA256 = digest
	return true
}

// split returns the resources in a file of JSON or YAML: of several documents, without
// the empty ones, and with the items of lists in place of these. A document counts from
// 0 in the paths.
func split(body []byte, path *field.Path) ([]document, *field.Error) {
	var documents []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(body)))
	for i := 0; ; {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, unreadable(err, path.Index(i))
		}
		values, err := values(text)
		if err != nil {
			return nil, unreadable(err, path.Index(i))
		}
		for _, value := range values {
			if !absent(value) {
				documents = append(documents, items(document{raw: value, path: path.Index(i), exact: true})...)
				i++
			}
		}
	}
}

func unreadable(err error, path *field.Path) *field.Error {
	return field.Invalid(path, field.OmitValueType{}, "cannot be read: "+fault.Shorten(strings.Join(strings.Fields(err.Error()), " "), 300))
}

// values returns a YAML document as JSON; or one JSON value or several, since not all
// JSON is YAML.
func values(text []byte) ([]json.RawMessage, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if found, err := jsonValues(text); err == nil {
			return found, twice(found)
		}
	}
	value, err := yaml.YAMLToJSONStrict(text) // refuses a key that is given twice
	return []json.RawMessage{value}, err
}

func jsonValues(text []byte) ([]json.RawMessage, error) {
	var found []json.RawMessage
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, err
		}
		found = append(found, value)
	}
}

// twice refuses a key that is given twice.
func twice(values []json.RawMessage) error {
	for _, value := range values {
		var object any
		strict, err := kjson.UnmarshalStrict(value, &object)
		if err := errors.Join(append(strict, err)...); err != nil {
			return err
		}
	}
	return nil
}

// items returns the items of a list, as kubectl writes several objects; or the document
// itself.
func items(d document) []document {
	var list struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.raw, &list); err != nil || list.Kind != "List" {
		return []document{d}
	}
	var found []document
	for i, item := range list.Items {
		found = append(found, document{raw: item, path: d.path.Child("items").Index(i), exact: d.exact})
	}
	return found
}
