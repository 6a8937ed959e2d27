import { gatewayWalletOf } from '../core/gateway-wallet.ts'
import type { Offer, PaymentMethod } from '../core/payment.ts'
import { checksumAddress } from './address.ts'
import {
  addressWord,
  bytes32Word,
  hashDomain,
  hashStruct,
  typedDataDigest,
  typeHash,
  uintWord,
} from './eip712.ts'
import { chainIdOf, type SignedTransfer, type TransferMethod } from './signed-transfer.ts'
import { eip3009Payload } from './wire.ts'

/** EIP-3009, "transferWithAuthorization". */
const TRANSFER_TYPE = typeHash(
  'TransferWithAuthorization(address from,address to,uint256 value,' +
    'uint256 validAfter,uint256 validBefore,bytes32 nonce)',
)

/** The token moves the money itself: `transferWithAuthorization`. */
export const eip3009: TransferMethod = {
  name: 'eip3009',
  read: (raw, { requirements }) => readAuthorization(raw, 'eip3009', requirements.asset),
}

/**
 * The same struct, signed for the contract that holds the payer's balance: the token hears nothing
 * of it, and its nonces say nothing of it.
 */
export const gatewayWallet: TransferMethod = {
  name: 'gateway-wallet',
  read(raw, { requirements }) {
    const wallet = gatewayWalletOf(requirements.extra)
    return wallet === null ? null : readAuthorization(raw, 'gateway-wallet', wallet)
  },
}

/** @param contract Verifies the signature, and keeps the nonces apart. */
function readAuthorization(
  raw: Readonly<Record<string, unknown>>,
  method: PaymentMethod,
  contract: string,
): SignedTransfer | null {
  const parsed = eip3009Payload.safeParse(raw)
  if (!parsed.success) return null
  const { signature, authorization } = parsed.data
  const payer = authorization.from.toLowerCase()
  const nonce = authorization.nonce.toLowerCase()
  const spelled = signature.toLowerCase()
  return {
    payer,
    payTo: authorization.to.toLowerCase(),
    asset: null,
    amount: BigInt(authorization.value),
    validAfter: BigInt(authorization.validAfter),
    validBefore: BigInt(authorization.validBefore),
    signature: spelled,
    uniqueBy: [method, contract.toLowerCase(), payer, nonce],
    payload: {
      signature: spelled,
      authorization: {
        ...authorization,
        nonce,
        from: checksumAddress(authorization.from),
        to: checksumAddress(authorization.to),
      },
    },
    digest: signed => typedDataDigest(domainSeparator(signed), hashAuthorization(authorization)),
  }
}

function hashAuthorization(authorization: {
  from: string
  to: string
  value: string
  validAfter: string
  validBefore: string
  nonce: string
}): Uint8Array {
  return hashStruct([
    TRANSFER_TYPE,
    addressWord(authorization.from),
    addressWord(authorization.to),
    uintWord(BigInt(authorization.value)),
    uintWord(BigInt(authorization.validAfter)),
    uintWord(BigInt(authorization.validBefore)),
    bytes32Word(authorization.nonce),
  ])
}

const separators = new WeakMap<Offer, Uint8Array>()

function domainSeparator(offer: Offer): Uint8Array {
  const known = separators.get(offer)
  if (known !== undefined) return known
  const separator = hashDomain({
    name: textOf(offer.requirements.extra['name']),
    version: textOf(offer.requirements.extra['version']),
    chainId: chainIdOf(offer),
    verifyingContract: gatewayWalletOf(offer.requirements.extra) ?? offer.requirements.asset,
  })
  separators.set(offer, separator)
  return separator
}

/** An offer may be as a client tells of it, and then a name may be anything. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
