import { z } from 'zod'

/**
 * The extension by which a client names what it buys, so that a retry with a freshly signed payment
 * is not a second purchase (x402 repository, specs/extensions/payment_identifier.md, and
 * @x402/extensions 2.27.0).
 */
export const PAYMENT_IDENTIFIER = 'payment-identifier'

const LENGTH = { minLength: 16, maxLength: 128 }
const PATTERN = '^[a-zA-Z0-9_-]+$'

/** What a challenge says about it; the client sends it back with an `id` in `info`. */
export function declareIdentifier(required: boolean): Readonly<Record<string, unknown>> {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: {
      required: { type: 'boolean' },
      id: { type: 'string', ...LENGTH, pattern: PATTERN },
    },
    required: ['required'],
  }
  return { [PAYMENT_IDENTIFIER]: { info: { required }, schema } }
}

/** Clients send more than `info.id`, and some nothing else. */
const echoed = z.object({
  info: z.object({
    id: z
      .string()
      .min(LENGTH.minLength)
      .max(LENGTH.maxLength)
      .regex(new RegExp(PATTERN))
      .optional(),
  }),
})

export type ReadIdentifier =
  | { readonly kind: 'identifier'; readonly id: string }
  /** Not sent, or sent back as the challenge had it: then it names nothing. */
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }

/** @param extensions Of a payment payload, as they came. */
export function readIdentifier(
  extensions: Readonly<Record<string, unknown>> | undefined,
): ReadIdentifier {
  if (extensions === undefined || !Object.hasOwn(extensions, PAYMENT_IDENTIFIER)) {
    return { kind: 'none' }
  }
  const parsed = echoed.safeParse(extensions[PAYMENT_IDENTIFIER])
  if (!parsed.success) return { kind: 'malformed' }
  const { id } = parsed.data.info
  return id === undefined ? { kind: 'none' } : { kind: 'identifier', id }
}

/** Does for a payer what a challenge asks: echoes its extensions, with `id` where one is wanted. */
export function answerDeclaration(
  extensions: Readonly<Record<string, unknown>>,
  id: string,
): Readonly<Record<string, unknown>> {
  const declared = extensions[PAYMENT_IDENTIFIER]
  if (!echoed.safeParse(declared).success) return extensions
  const { info, ...rest } = declared as { info: object } // just checked
  return { ...extensions, [PAYMENT_IDENTIFIER]: { ...rest, info: { ...info, id } } }
}

/**
 * What goes on to a facilitator, which must not answer for an identifier that we answer for: after
 * a payment that was released, it would take the next one for the same.
 */
export function withoutIdentifier(
  extensions: Readonly<Record<string, unknown>> | undefined,
): Readonly<Record<string, unknown>> | undefined {
  if (extensions === undefined || !Object.hasOwn(extensions, PAYMENT_IDENTIFIER)) return extensions
  const { [PAYMENT_IDENTIFIER]: _ours, ...others } = extensions
  return Object.keys(others).length === 0 ? undefined : others
}
