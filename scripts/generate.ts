/** Writes the files that are made from code. A test fails when one of them is stale. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { facilitatorJsonSchema, gatewayJsonSchema } from '../src/config/json-schema.ts'
import { errorsDocument } from './errors-document.ts'

const GENERATED = [
  { file: '../config/gateway.schema.json', content: gatewayJsonSchema },
  { file: '../config/facilitator.schema.json', content: facilitatorJsonSchema },
  { file: '../docs/errors.md', content: errorsDocument },
]

for (const { file, content } of GENERATED) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  writeFileSync(path, content())
  console.log(`wrote ${path}`)
}
