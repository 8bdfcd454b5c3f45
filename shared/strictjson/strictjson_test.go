package strictjson_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/strictjson"
)

type fleet struct {
	Name    string `json:"name"`
	Size    *int   `json:"size"`
	Dry     bool   `json:"dry"`
	Members []struct {
		ID   string            `json:"id"`
		Tags map[string]string `json:"tags"`
	} `json:"members"`
}

func TestUnmarshal(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string
	}{
		{"valid", `{"name": "a", "size": 3, "members": [{"id": "1"}]}`, nil},
		{"empty", `{}`, nil},
		{"no object", `[1]`, []string{`root: must be a JSON object`}},
		{"nothing", ``, []string{`root: must be a JSON object`}},
		{"null", `null`, []string{`root: must be a JSON object`}},
		{"cut short", `{"name": `, []string{`root: is not JSON: unexpected end of JSON input`}},
		{"unknown field", `{"nam": "a"}`, []string{`nam: unknown field`}},
		{"unknown field in a list", `{"members": [{}, {"idd": "1"}]}`, []string{`members[1].idd: unknown field`}},
		{"another case", `{"Name": "a"}`, []string{`Name: unknown field`}},
		{"given twice", `{"name": "a", "name": "b"}`, []string{`name: given twice`}},
		{"a number for a string", `{"name": 7}`, []string{`name: must be of type string, not number`}},
		{"a fraction", `{"size": 1.5}`, []string{`size: must be of type whole number, not number 1.5`}},
		{"a string for a boolean", `{"dry": "yes"}`, []string{`dry: must be of type boolean, not string`}},
		{"an object for a list", `{"members": {"id": "1"}}`, []string{`members: must be of type list, not object`}},
		{"a list for an object", `{"members": [{}, [1, 2], {}]}`, []string{`members[1]: must be of type object, not array`}},
		{
			"several of a wrong type", `{"name": ["a", {"b": "]"}], "members": [{"id": 1}, {}, {"tags": {"x": true}}, "x"], "size": "3"}`,
			[]string{
				`name: must be of type string, not array`,
				`members[0].id: must be of type string, not number`,
				`members[2].tags.x: must be of type string, not bool`,
				`members[3]: must be of type object, not string`,
				`size: must be of type whole number, not string`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := texts(strictjson.Unmarshal([]byte(test.text), &fleet{}, nil, "root")); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// Below another document, every path starts where this one stands.
func TestPathOfTheDocument(t *testing.T) {
	at := field.NewPath("schedules").Index(2).Child("request")
	for text, want := range map[string]string{
		`7`:                 "schedules[2].request: must be a JSON object",
		`{"x": 1}`:          "schedules[2].request.x: unknown field",
		`{"members": [[]]}`: "schedules[2].request.members[0]: must be of type object, not array",
	} {
		if got := texts(strictjson.Unmarshal([]byte(text), &fleet{}, at, "root")); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestManyErrorsAreBounded(t *testing.T) {
	text := `{"members": [` + strings.Repeat("1,", 5_000) + `1]}`
	if got := strictjson.Unmarshal([]byte(text), &fleet{}, nil, "root"); len(got) != 20 {
		t.Errorf("%d errors, want 20", len(got))
	}
}

func texts(problems field.ErrorList) []string {
	var all []string
	for _, problem := range problems {
		all = append(all, problem.Field+": "+problem.Detail)
	}
	return all
}

// Any text is read, or refused with a path.
func FuzzUnmarshal(f *testing.F) {
	f.Add(`{"members": [{"id": 1}, 2, [3]], "size": {}}`)
	f.Add(`{"name": 1, "name": 2`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, problem := range strictjson.Unmarshal([]byte(text), &fleet{}, nil, "root") {
			if problem.Field == "" {
				t.Errorf("%v has no path", problem)
			}
		}
	})
}
