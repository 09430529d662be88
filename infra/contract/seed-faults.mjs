// Breaks a sound OpenAPI document in many ways and names the rule of
// redocly.yaml that must notice each.
//
//   node seed-faults.mjs sound.json broken.json   writes broken.json
//   node seed-faults.mjs sound.json report.json --verify
//                                                 reads the linter's report on it
import { readFileSync, writeFileSync } from 'node:fs'

const [soundFile, otherFile, verify] = process.argv.slice(2)
const doc = JSON.parse(readFileSync(soundFile, 'utf8'))

const json = 'application/json'
const jobs = doc.paths['/jobs']
const users = doc.paths['/users']
const faults = {
  'info-license': () => delete doc.info.license,
  'operation-operationId': () => delete jobs.get.operationId,
  'operation-operationId-unique': () => (users.get.operationId = users.post.operationId),
  'operation-summary': () => delete jobs.get.summary,
  'operation-tag-defined': () => (users.get.tags = ['nowhere']),
  'operation-4xx-response': () => {
    for (const status of Object.keys(users.get.responses)) if (status[0] === '4') delete users.get.responses[status]
  },
  'operation-2xx-response': () => delete users.post.responses[201],
  'parameter-description': () => delete jobs.get.parameters[0].description,
  'security-defined': () => delete doc.paths['/health'].get.security,
  'path-parameters-defined': () => (doc.paths['/jobs/{id}'].get.parameters = []),
  'no-unresolved-refs': () => (jobs.get.responses[200].content[json].schema.$ref += 'Lost'),
  'no-unused-components': () => (doc.components.schemas.Unused = { type: 'object' }),
  'no-invalid-media-type-examples': () => (jobs.post.requestBody.content[json].example.cronPattern = 7),
  'no-invalid-schema-examples': () => (doc.components.schemas.JobView.properties.id.examples = ['seven']),
  'no-enum-type-mismatch': () => doc.components.schemas.JobView.properties.status.enum.push(7),
  struct: () => (jobs.get.deprecatd = true),
  'rule/operation-explained': () => delete doc.paths['/categories'].get.tags,
  'rule/answer-described': () => delete users.get.responses[200].description,
  'rule/content-has-example': () => delete users.post.requestBody.content[json].example,
}

if (verify) {
  const noticed = new Set(JSON.parse(readFileSync(otherFile, 'utf8')).problems.map((problem) => problem.ruleId))
  const missed = Object.keys(faults).filter((rule) => !noticed.has(rule))
  if (missed.length > 0) {
    console.error(`the linter does not notice what breaks ${missed.join(', ')}`)
    process.exit(1)
  }
  console.log(`the linter notices each of ${Object.keys(faults).length} seeded faults`)
} else {
  for (const seed of Object.values(faults)) seed()
  writeFileSync(otherFile, JSON.stringify(doc))
}
