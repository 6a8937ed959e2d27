import { z } from 'zod'
import { gatewaySchema } from './schema.ts'
import { facilitatorServiceSchema } from './schema-facilitator-service.ts'

/**
 * The JSON Schema that editors check a configuration file against, as text. `npm run generate`
 * writes it to config/gateway.schema.json.
 */
export function gatewayJsonSchema(): string {
  return jsonSchemaOf(gatewaySchema)
}

/** The same for the file of `farebox facilitator`: config/facilitator.schema.json. */
export function facilitatorJsonSchema(): string {
  return jsonSchemaOf(facilitatorServiceSchema)
}

function jsonSchemaOf(file: z.ZodType): string {
  const schema = z.toJSONSchema(file, {
    target: 'draft-2020-12',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'throw',
  })
  return `${JSON.stringify(schema, null, 2)}\n`
}
