import { z } from 'zod'
import {
  type Bounds,
  type ReadValue,
  readDuration,
  readGasPrice,
  readListenAddress,
  readSize,
  readStatusRange,
  readWholeNumber,
} from './values.ts'

/**
 * A scalar and what it means. Scalars are always text (the file is read that way), but an editor
 * that checks the file against the published schema sees a number where one is written, and a
 * variable where that is written.
 */
function scalar<T>(
  read: (text: string) => ReadValue<T>,
  published: { readonly pattern: string; readonly type?: readonly string[] },
) {
  return z
    .string()
    .meta({ ...published, pattern: `${published.pattern}|\\$\\{` })
    .transform((text, context): T => {
      const result = read(text)
      if (result.kind === 'value') return result.value
      const { message, cure } = result
      context.addIssue({ code: 'custom', message, params: { cure } })
      return z.NEVER
    })
}

const TEXT_OR_NUMBER = ['string', 'integer']

/** Milliseconds. */
export function duration(bounds?: Bounds) {
  return scalar(text => readDuration(text, bounds), { pattern: '^\\d+(ms|s|m|h|d)$' })
}

/** Bytes. */
export function size(bounds: Bounds) {
  return scalar(text => readSize(text, bounds), { pattern: '^\\d+(B|KiB|MiB|GiB)$' })
}

/** Wei per unit of gas. */
export function gasPrice() {
  return scalar(readGasPrice, { pattern: '^\\d+(\\.\\d+)?(wei|gwei)$' })
}

export function wholeNumber(bounds: Bounds) {
  return scalar(text => readWholeNumber(text, bounds), { type: TEXT_OR_NUMBER, pattern: '^\\d+$' })
}

export function listenAddress() {
  return scalar(readListenAddress, { type: TEXT_OR_NUMBER, pattern: '^(.*:)?\\d{1,5}$' })
}

export function statusRange() {
  const pattern = '^([2-5]xx|[2-5]\\d\\d(-[2-5]\\d\\d)?)$'
  return scalar(readStatusRange, { type: TEXT_OR_NUMBER, pattern })
}

/** "true" and "false", as text or as an editor sees them. */
export function flag() {
  return z
    .enum(['true', 'false'])
    .meta({ type: ['boolean', 'string'], enum: [true, false, 'true', 'false'] })
    .transform(written => written === 'true')
}

/** Text that must say something. */
export function text(lengthMax: number) {
  return z.string().min(1).max(lengthMax)
}

/** Names that end up in metrics and logs. */
export const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/)

/**
 * A map, or for most files the text of the one thing in it that has to be said.
 *
 * @param toMap The map that such a text stands for.
 */
export function textOr<Output, Input>(
  maxLength: number,
  full: z.ZodType<Output, Input>,
  toMap: (text: string) => Input,
) {
  const settled = full as z.ZodType<Output, Awaited<Input>> // a map is no promise
  return z.union([text(maxLength).transform(toMap).pipe(settled), full])
}
