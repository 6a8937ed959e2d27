import type { ClientBase } from 'pg'
import type { Row } from './claim-row.ts'
import { storableText } from './postgres-text.ts'

/** Named, so that each connection parses and plans it once. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export type Bindable = string | number | null | Uint8Array | readonly (string | number)[]

export async function query(
  client: ClientBase,
  { name, text }: Statement,
  values: readonly Bindable[],
): Promise<readonly Row[]> {
  const storable = values.map(each => (typeof each === 'string' ? storableText(each) : each))
  const { rows } = await client.query<Row>({ name, text, values: storable })
  return rows
}

/** "$1, $2, $3". */
export function placeholders(count: number): string {
  return Array.from({ length: count }, (_, index) => `$${index + 1}`).join(', ')
}
