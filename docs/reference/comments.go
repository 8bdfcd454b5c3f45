package main

import (
	"fmt"
	"go/doc/comment"
	"go/types"
	"regexp"
	"strings"
)

// markdown turns the text of a comment into Markdown. A link to a constant becomes
// the constant's value; one to a type or a field, a link to its place in the page.
func (p *page) markdown(s source, text string) string {
	parser := comment.Parser{
		LookupPackage: s.importNamed,
		LookupSym:     func(string, string) bool { return true },
	}
	doc := parser.Parse(text)
	p.resolveBlocks(s, doc.Content)
	printer := comment.Printer{DocLinkURL: func(*comment.DocLink) string { return "" }}
	return linkErrors(plainCode(strings.TrimSpace(string(printer.Markdown(doc)))))
}

func (p *page) resolveBlocks(s source, blocks []comment.Block) {
	for _, block := range blocks {
		switch block := block.(type) {
		case *comment.Paragraph:
			p.resolveLinks(s, block.Text)
		case *comment.List:
			for _, item := range block.Items {
				p.resolveBlocks(s, item.Content)
			}
		}
	}
}

func (p *page) resolveLinks(s source, texts []comment.Text) {
	for i, text := range texts {
		switch link := text.(type) {
		case *comment.Link:
			if link.Auto { // a bare URL: its host is enough to read
				host, _, _ := strings.Cut(strings.TrimPrefix(link.URL, "https://"), "/")
				link.Text = []comment.Text{comment.Plain(host)}
			}
		case *comment.DocLink:
			texts[i] = p.resolve(s, link)
		}
	}
}

func (p *page) resolve(s source, link *comment.DocLink) comment.Text {
	if c, ok := s.lookup(link.ImportPath, link.Name).(*types.Const); ok {
		return comment.Plain(inWords(c))
	}
	of, text := p.anchors[link.Name], link.Name
	if link.Recv != "" {
		of = p.anchors[link.Recv+"."+link.Name]
		text = of.text
	}
	if of.id == "" {
		p.problems = append(p.problems, fmt.Errorf("a comment links to %s, which this page does not describe", strings.TrimPrefix(link.Recv+"."+link.Name, ".")))
	}
	return &comment.Link{Text: []comment.Text{comment.Plain(text)}, URL: "#" + of.id}
}

var errorName = regexp.MustCompile(`CrossApply\.[A-Z]\w+`)

// linkErrors links the names of errors to their page.
func linkErrors(markdown string) string {
	return errorName.ReplaceAllStringFunc(markdown, func(name string) string {
		return fmt.Sprintf("[`%s`](errors.md#%s)", name, strings.ToLower(strings.ReplaceAll(name, ".", "")))
	})
}

var (
	codeSpan = regexp.MustCompile("\\\\`[^`]*\\\\`")
	escaped  = regexp.MustCompile(`\\(.)`)
)

// plainCode gives back to code in backquotes, which Go's comments do not know,
// what was escaped in it.
func plainCode(markdown string) string {
	return codeSpan.ReplaceAllStringFunc(markdown, func(span string) string {
		return escaped.ReplaceAllString(span, "$1")
	})
}
