import type { PaymentPayload, PaymentRequirements } from '../core/payment.ts'
import { checksumAddress } from '../x402/address.ts'

/**
 * A payment with every EVM address spelled with its checksum (EIP-55), for services that take no
 * other. What was signed stays: a signature covers the bytes of an address, not the case of their
 * letters. The same payment always comes out the same.
 */
export function withChecksums(
  payload: PaymentPayload,
  requirements: PaymentRequirements,
): [PaymentPayload, PaymentRequirements] {
  if (!requirements.network.startsWith('eip155:')) return [payload, requirements]
  const accepted = spellRequirements(payload.accepted)
  return [
    { ...payload, accepted, payload: spellMembers(payload.payload) },
    spellRequirements(requirements),
  ]
}

function spellRequirements(requirements: PaymentRequirements): PaymentRequirements {
  const { asset, payTo } = requirements
  return { ...requirements, asset: spellText(asset), payTo: spellText(payTo) }
}

/** What was decoded from JSON, of which there is a bound on depth and size. */
function spellMembers(members: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [name, spell(value)]))
}

function spell(value: unknown): unknown {
  if (typeof value === 'string') return spellText(value)
  if (Array.isArray(value)) return value.map(spell)
  return typeof value === 'object' && value !== null ? spellMembers(value) : value
}

const ADDRESS = /^0[xX][0-9a-fA-F]{40}$/

function spellText(text: string): string {
  return ADDRESS.test(text) ? checksumAddress(text) : text
}
