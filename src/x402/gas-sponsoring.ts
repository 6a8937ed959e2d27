import type { PaymentPayload } from '../core/payment.ts'

/**
 * Extensions by which a facilitator pays the gas of a payer's approval of Permit2, so that a token
 * without EIP-3009 can be paid with by whoever holds nothing else. A challenge says that they may
 * be used; what the payer signs for them goes to the facilitator as it came.
 *
 * Source: @x402/extensions 2.27.0, `declareEip2612GasSponsoringExtension` and
 * `declareErc20ApprovalGasSponsoringExtension`.
 */
const ADDRESS = '^0x[a-fA-F0-9]{40}$'
const DIGITS = '^[0-9]+$'
const HEX = '^0x[a-fA-F0-9]+$'
const VERSION = '^[0-9]+(\\.[0-9]+)*$'

const DECLARATIONS: Readonly<Record<string, unknown>> = {
  eip2612GasSponsoring: declaration(
    'The facilitator accepts EIP-2612 gasless Permit to `Permit2` canonical contract.',
    {
      from: [ADDRESS, 'The address of the sender.'],
      asset: [ADDRESS, 'The address of the ERC-20 token contract.'],
      spender: [ADDRESS, 'The address of the spender (Canonical Permit2).'],
      amount: [DIGITS, 'The amount to approve (uint256). Typically MaxUint.'],
      nonce: [DIGITS, 'The current nonce of the sender.'],
      deadline: [DIGITS, 'The timestamp at which the signature expires.'],
      signature: [HEX, 'The 65-byte concatenated signature (r, s, v) as a hex string.'],
      version: [VERSION, 'Schema version identifier.'],
    },
  ),
  erc20ApprovalGasSponsoring: declaration(
    'The facilitator broadcasts a pre-signed ERC-20 approve() transaction to grant Permit2 allowance.',
    {
      from: [ADDRESS, 'The address of the sender (token owner).'],
      asset: [ADDRESS, 'The address of the ERC-20 token contract.'],
      spender: [ADDRESS, 'The address of the spender (Canonical Permit2).'],
      amount: [DIGITS, 'The amount approved (uint256). Always MaxUint256.'],
      signedTransaction: [HEX, 'The RLP-encoded signed EIP-1559 transaction as a hex string.'],
      version: [VERSION, 'Schema version identifier.'],
    },
  ),
}

function declaration(
  description: string,
  members: Readonly<Record<string, readonly [pattern: string, description: string]>>,
): unknown {
  const properties = Object.entries(members).map(([name, [pattern, meaning]]) => [
    name,
    { type: 'string', pattern, description: meaning },
  ])
  return {
    info: { description, version: '1' },
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: Object.fromEntries(properties),
      required: Object.keys(members),
    },
  }
}

/** Names of those among the extensions that a facilitator lists. */
export function gasSponsoringIn(extensions: readonly string[]): string[] {
  return Object.keys(DECLARATIONS).filter(name => extensions.includes(name))
}

/** What a challenge says of them. */
export function declareGasSponsoring(names: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(names.map(name => [name, DECLARATIONS[name]]))
}

/**
 * Those that a payment needs: the payer has signed for them, and did not just send back what the
 * challenge said.
 */
export function gasSponsoringOf({ extensions = {} }: PaymentPayload): string[] {
  return Object.keys(DECLARATIONS).filter(name => {
    const sent = extensions[name]
    const info = typeof sent === 'object' && sent !== null && 'info' in sent ? sent.info : null
    return typeof info === 'object' && info !== null && 'from' in info
  })
}
