// Checks definitions in the Amazon States Language: prints what is wrong with the
// files that are named, and fails where something is.
//
//	node statemachine/lint.js statemachine/rollout.asl.json
//
// First with the language service of AWS's own editor toolkits, then, where that
// is content, with asl-validator: each finds what the other does not. The service
// knows the fields of a Retry and of a Map's reader and writer; the validator
// reads JSONata expressions and ARNs, and knows the fields of JSONPath.
'use strict'

const { readFileSync } = require('node:fs')
const { getLanguageService, TextDocument } = require('amazon-states-language-service')
const validate = require('asl-validator')

async function lint(file) {
  const text = readFileSync(file, 'utf8')
  const service = getLanguageService({})
  const document = TextDocument.create(file, 'json', 1, text)
  const problems = await service.doValidation(document, service.parseJSONDocument(document))
  if (problems.length > 0) {
    return problems.map(({ range: { start }, message }) => `${file}:${start.line + 1}:${start.character + 1}: ${message}`)
  }
  // To the validator, an ARN begins with a partition.
  const result = validate(JSON.parse(text.replaceAll('${Partition}', 'aws')))
  return result.isValid ? [] : [`${file}: ${result.errorsText()}`]
}

async function main(files) {
  for (const line of (await Promise.all(files.map(lint))).flat()) {
    console.log(line)
    process.exitCode = 1
  }
}

main(process.argv.slice(2))
