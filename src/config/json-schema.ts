import { z } from 'zod'
import { gatewaySchema } from './schema.ts'

/**
 * The JSON Schema that editors check a configuration file against, as text. `npm run generate`
 * writes it to config/gateway.schema.json.
 */
export function gatewayJsonSchema(): string {
  const schema = z.toJSONSchema(gatewaySchema, {
    target: 'draft-2020-12',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'throw',
  })
  return `${JSON.stringify(schema, null, 2)}\n`
}
