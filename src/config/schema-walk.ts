import { z } from 'zod'
import type { Path } from './problems.ts'

/** Keys that the schema knows at a path; empty where it knows none or all. */
export function knownKeys(schema: z.ZodType, path: Path): string[] {
  return schemasAt(schema, path).flatMap(found =>
    found instanceof z.ZodObject ? Object.keys(found.shape) : [],
  )
}

/** What the schema says about what stands at a path; null where it says nothing. */
export function descriptionAt(schema: z.ZodType, path: Path): string | null {
  const part = path.at(-1)
  if (part === undefined) return null
  for (const parent of schemasAt(schema, path.slice(0, -1))) {
    const description = memberAt(parent, part)?.meta()?.description
    if (description !== undefined) return description
  }
  return null
}

/** A path can lead to several schemas: where a shorthand is allowed, the full form is one more. */
function schemasAt(schema: z.core.$ZodType, path: Path): z.core.$ZodType[] {
  return path.reduce<z.core.$ZodType[]>(
    (found, part) =>
      found.flatMap(each => {
        const member = memberAt(each, part)
        return member === null ? [] : unwrap(member)
      }),
    unwrap(schema),
  )
}

function memberAt(schema: z.core.$ZodType, part: string | number): z.ZodType | null {
  let member: z.core.$ZodType | undefined
  if (schema instanceof z.ZodObject) member = schema.shape[String(part)]
  if (schema instanceof z.ZodRecord) member = schema.valueType
  if (schema instanceof z.ZodArray) member = schema.element
  return member instanceof z.ZodType ? member : null
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap())
  }
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(option => unwrap(option))
  // A shorthand is a pipe from text; only what the file can hold matters here.
  if (schema instanceof z.ZodPipe) return unwrap(schema.in)
  return [schema]
}
