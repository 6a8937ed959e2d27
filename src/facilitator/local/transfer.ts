import type { NetworkId, PaymentPayload, PaymentRequirements } from '../../core/payment.ts'
import { type UnixMs, unixMs } from '../../core/time.ts'
import type { SignedTransferOnChain } from '../../networks/chain-reader.ts'
import { provePermit } from '../../networks/permit2-proof.ts'
import { proveAuthorization } from '../../networks/receipt-proof.ts'
import { eip3009Payload, evmAddress, permit2Payload, uint256 } from '../../x402/wire.ts'
import type { Outgoing } from './outgoing.ts'

/** A payment of scheme exact as the chain will see it. */
export interface AskedTransfer extends SignedTransferOnChain {
  readonly network: NetworkId
  /** Equal for equal payments, whatever their spelling. */
  readonly purpose: string
  readonly signature: `0x${string}`
  /** No earlier than this was it signed, as far as its terms tell. */
  readonly createdAt: UnixMs
}

/** Null when it is no payment of scheme exact that this chain could carry out. */
export function readTransfer(
  { payload, accepted }: PaymentPayload,
  requirements: PaymentRequirements,
): AskedTransfer | null {
  const { scheme, network, asset, payTo, amount, maxTimeoutSeconds } = requirements
  const isExact = scheme === 'exact' && accepted.scheme === 'exact' && accepted.network === network
  const isShaped = [asset, payTo].every(one => evmAddress.safeParse(one).success)
  if (!isExact || !isShaped || !uint256.safeParse(amount).success) return null
  const signed = readSigned(payload)
  if (signed === null) return null
  const { method, payer, nonce, validBefore, signature } = signed
  const unique = [method, asset.toLowerCase(), payer.toLowerCase(), nonce.toLowerCase()]
  return {
    ...{ method, payer, nonce, validBefore, network, payTo },
    token: asset,
    amount: BigInt(amount),
    purpose: unique.join('/'),
    // The schema has checked it.
    signature: signature as `0x${string}`, // see above
    createdAt: unixMs(Math.min(Date.now(), (validBefore - maxTimeoutSeconds) * 1000)),
  }
}

function readSigned(payload: Readonly<Record<string, unknown>>) {
  const eip3009 = eip3009Payload.safeParse(payload).data
  if (eip3009 !== undefined) {
    const { from, nonce, validBefore } = eip3009.authorization
    const { signature } = eip3009
    return {
      method: 'eip3009',
      payer: from,
      nonce,
      validBefore: Number(validBefore),
      signature,
    } as const
  }
  const permit2 = permit2Payload.safeParse(payload).data
  if (permit2 === undefined) return null
  const { from, nonce, deadline } = permit2.permit2Authorization
  const { signature } = permit2
  return {
    method: 'permit2',
    payer: from,
    nonce,
    validBefore: Number(deadline),
    signature,
  } as const
}

/** Whether what we sent has moved exactly the amount from payer to payTo. */
export function isPaidBy({ receipt, sent }: Outgoing, transfer: AskedTransfer): boolean {
  if (receipt === null || !receipt.succeeded) return false
  const { logs } = receipt
  const proof =
    transfer.method === 'eip3009'
      ? proveAuthorization(logs, transfer)
      : provePermit({ to: sent.to, input: sent.data }, logs, transfer)
  return proof === 'transfer'
}
