import type { toFacilitatorEvmSigner } from '@x402/evm'
import {
  type Abi,
  type Address,
  BaseError,
  concatHex,
  encodeFunctionData,
  type Hex,
  type PublicClient,
} from 'viem'
import { FacilitatorUnavailableError } from '../../errors.ts'
import { ChainUnavailableError } from '../../networks/chain-reader.ts'
import type { Outgoing } from './outgoing.ts'

type SchemeSigner = ReturnType<typeof toFacilitatorEvmSigner>

/** What happened while the library verified or settled one payment. */
export interface Operation {
  /** The payment's own transaction, once it is written down. */
  payment: Outgoing | null
  /**
   * Why the chain or the key could not be used. The library takes every failure for the payment's
   * fault: a node that does not answer would make a signature look wrong.
   */
  failure: FacilitatorUnavailableError | null
  /** The last look before sending said that the transaction would revert. */
  wouldRevert: boolean
}

export interface SchemeSignerParts {
  readonly addresses: readonly Address[]
  readonly client: PublicClient
  readonly operation: Operation
  /** Null when it would revert. Rejects when nothing was sent. */
  sendPayment(to: Address, data: Hex): Promise<Outgoing | null>
  /** For a wallet that has to be deployed first. */
  sendDeployment(to: Address, data: Hex): Promise<Outgoing | null>
  /** How long to wait until a transaction is in a block, in milliseconds. */
  waitMs(): number
}

/** Is thrown into the library, which answers with a refusal. What it stands for is kept beside. */
class NotSent extends Error {}

/** The chain and our keys as @x402/evm's facilitator wants them, for one payment. */
export function createSchemeSigner(parts: SchemeSignerParts): SchemeSigner {
  const { client, operation } = parts
  const sent: Outgoing[] = []
  const witnessed = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      operation.failure ??= failureOf(error)
      throw error
    })
  const send = async (sending: () => Promise<Outgoing | null>): Promise<Outgoing> => {
    // What was not read may be what forbids it.
    if (operation.failure !== null) throw new NotSent('The chain was not read.')
    const outgoing = await sending().catch((error: unknown) => {
      operation.failure ??= failureOf(error) ?? couldNotSend(error)
      throw new NotSent('Nothing was sent.')
    })
    if (outgoing === null) {
      operation.wouldRevert = true
      throw new NotSent('The transaction would revert.')
    }
    sent.push(outgoing)
    return outgoing
  }
  return {
    getAddresses: () => parts.addresses,
    // The library leaves a look at the token's code without an ear when it refuses early: rejecting
    // there would end the process.
    getCode: asked => witnessed(client.getCode(asked)).catch(() => undefined),
    readContract: asked => witnessed(client.readContract({ ...asked, abi: asked.abi as Abi })), // the library's own
    verifyTypedData: asked => witnessed(client.verifyTypedData(asked as never)), // types are looser there
    async writeContract({ address, abi, functionName, args, dataSuffix = '0x' }) {
      const call = encodeFunctionData({ abi: abi as Abi, functionName, args }) // the library's own
      operation.payment = await send(() =>
        parts.sendPayment(address, concatHex([call, dataSuffix])),
      )
      return operation.payment.newest.hash as Hex // a keccak-256
    },
    async sendTransaction({ to, data }) {
      const deployment = await send(() => parts.sendDeployment(to, data))
      return deployment.newest.hash as Hex // a keccak-256
    },
    async waitForTransactionReceipt({ hash }) {
      const outgoing = sent.find(one => one.sent.attempts.some(version => version.hash === hash))
      const receipt = await outgoing?.landed(parts.waitMs())
      if (!receipt) {
        if (operation.payment === null) operation.failure ??= deploymentPending()
        throw new NotSent('It is in no block yet.')
      }
      // What its events prove is for us to read: the library would believe any transfer.
      return { status: receipt.succeeded ? 'success' : 'reverted' }
    },
  }
}

/** A sender rejects only when it has sent nothing. */
function couldNotSend(cause: unknown): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError('The local facilitator could not send.', {
    fix: 'The log says why; payments wait meanwhile.',
    cause,
  })
}

function deploymentPending(): FacilitatorUnavailableError {
  return new FacilitatorUnavailableError("The payer's wallet is being deployed.", {
    fix: 'Nothing to do: the payment is settled when it comes again.',
  })
}

/** Null when the chain itself refused, which says something about the payment. */
function failureOf(error: unknown): FacilitatorUnavailableError | null {
  if (error instanceof FacilitatorUnavailableError) return error
  const found =
    error instanceof BaseError ? error.walk(one => one instanceof ChainUnavailableError) : error
  if (!(found instanceof ChainUnavailableError)) return null
  return new FacilitatorUnavailableError('The local facilitator reaches no node of the chain.', {
    fix: found.fix,
    cause: found,
  })
}
