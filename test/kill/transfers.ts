import { type Address, parseEventLogs } from 'viem'
import type { Chain } from '../support/chain.ts'
import { testDollarAbi } from '../support/token/abi.ts'

/** Money that reached the seller. */
export interface Transfer {
  /** Of the authorization that moved it. */
  readonly nonce: string
  readonly transaction: string
  readonly payer: string
  /** Atomic units. */
  readonly amount: bigint
}

/**
 * Every transfer to an account, oldest first, as the chain's logs have them: the token says which
 * authorization is used right before it moves the money.
 */
export async function transfersTo(chain: Chain, account: Address): Promise<Transfer[]> {
  const { publicClient, token } = chain
  const raw = await publicClient.getLogs({ address: token, fromBlock: 0n, toBlock: 'latest' })
  const logs = parseEventLogs({ abi: testDollarAbi, logs: raw })
  return logs.flatMap((log, index) => {
    if (log.eventName !== 'Transfer' || log.args.to !== account) return []
    const before = logs[index - 1]
    const isIts =
      before?.eventName === 'AuthorizationUsed' && before.transactionHash === log.transactionHash
    return {
      nonce: isIts ? before.args.nonce : 'none',
      transaction: log.transactionHash,
      payer: log.args.from.toLowerCase(),
      amount: log.args.value,
    }
  })
}
