import type { Offer } from '../core/payment.ts'
import { checksumAddress } from './address.ts'
import {
  addressWord,
  hashDomain,
  hashStruct,
  typedDataDigest,
  typeHash,
  uintWord,
} from './eip712.ts'
import { chainIdOf, type SignedTransfer, type TransferMethod } from './signed-transfer.ts'
import { permit2Payload } from './wire.ts'

/** Canonical Permit2, and x402's proxy that only it may call (@x402/evm 2.27.0). */
const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
const EXACT_PROXY = '0x402085c248eea27d92e8b30b2c58ed07f9e20001'

const TOKEN_PERMISSIONS = 'TokenPermissions(address token,uint256 amount)'
const WITNESS = 'Witness(address to,uint256 validAfter)'

/**
 * Permit2's witness type string, as the proxy signs it (@x402/evm 2.27.0 `permit2WitnessTypes`).
 */
const PERMIT_TYPE = typeHash(
  'PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,' +
    `uint256 deadline,Witness witness)${TOKEN_PERMISSIONS}${WITNESS}`,
)
const TOKEN_PERMISSIONS_TYPE = typeHash(TOKEN_PERMISSIONS)
const WITNESS_TYPE = typeHash(WITNESS)

type Authorization = ReturnType<typeof permit2Payload.parse>['permit2Authorization']

/** The Permit2 contract moves the money, for tokens without EIP-3009. */
export const permit2: TransferMethod = { name: 'permit2', read }

function read(raw: Readonly<Record<string, unknown>>): SignedTransfer | null {
  const parsed = permit2Payload.safeParse(raw)
  if (!parsed.success) return null
  const { permit2Authorization: authorization } = parsed.data
  const signature = parsed.data.signature.toLowerCase()
  // Any other spender could take the money elsewhere: the proxy alone holds it to `witness.to`.
  if (authorization.spender.toLowerCase() !== EXACT_PROXY) return null
  const payer = authorization.from.toLowerCase()
  return {
    payer,
    payTo: authorization.witness.to.toLowerCase(),
    asset: authorization.permitted.token.toLowerCase(),
    amount: BigInt(authorization.permitted.amount),
    validAfter: BigInt(authorization.witness.validAfter),
    validBefore: BigInt(authorization.deadline),
    signature,
    uniqueBy: ['permit2', payer, BigInt(authorization.nonce).toString()],
    payload: { signature, permit2Authorization: checksummed(authorization) },
    digest: signed => typedDataDigest(domainSeparator(signed), hashPermit(authorization)),
  }
}

function checksummed(authorization: Authorization): Authorization {
  return {
    ...authorization,
    from: checksumAddress(authorization.from),
    permitted: {
      ...authorization.permitted,
      token: checksumAddress(authorization.permitted.token),
    },
    spender: checksumAddress(authorization.spender),
    witness: { ...authorization.witness, to: checksumAddress(authorization.witness.to) },
  }
}

function hashPermit(authorization: Authorization): Uint8Array {
  const { permitted, witness } = authorization
  return hashStruct([
    PERMIT_TYPE,
    hashStruct([
      TOKEN_PERMISSIONS_TYPE,
      addressWord(permitted.token),
      uintWord(BigInt(permitted.amount)),
    ]),
    addressWord(authorization.spender),
    uintWord(BigInt(authorization.nonce)),
    uintWord(BigInt(authorization.deadline)),
    hashStruct([WITNESS_TYPE, addressWord(witness.to), uintWord(BigInt(witness.validAfter))]),
  ])
}

function domainSeparator(offer: Offer): Uint8Array {
  return hashDomain({
    name: 'Permit2',
    version: null,
    chainId: chainIdOf(offer),
    verifyingContract: PERMIT2,
  })
}
