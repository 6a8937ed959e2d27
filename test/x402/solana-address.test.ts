import { ExactSvmScheme } from '@x402/svm/exact/client'
import { describe, expect, test } from 'vitest'
import {
  associatedTokenAccount,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
} from '../../src/x402/solana-address.ts'
import { decodeTransaction } from '../../src/x402/solana-transaction.ts'
import {
  SOLANA_DEVNET,
  SOLANA_USDC,
  solanaAccount,
  startSolanaChain,
} from '../support/solana-chain.ts'

describe('the account that an owner holds a token in', () => {
  test.each([
    ['Token', TOKEN_PROGRAM, SOLANA_USDC],
    ['Token-2022', TOKEN_2022_PROGRAM, solanaAccount('mint').address],
  ])('is the one that the official client derives: %s', async (_, program, mint) => {
    const chain = await startSolanaChain()
    chain.addMint(mint, program)
    try {
      for (let index = 0; index < 20; index++) {
        const payer = solanaAccount(`payer ${index}`)
        const payTo = solanaAccount(`receiver ${index}`).address
        const client = new ExactSvmScheme(signerOf(payer), { rpcUrl: chain.rpcUrl })
        const { payload } = await client.createPaymentPayload(2, {
          ...{ scheme: 'exact', network: SOLANA_DEVNET, asset: mint, amount: '1', payTo },
          ...{ maxTimeoutSeconds: 60, extra: { feePayer: solanaAccount('fees').address } },
        })
        const read = decodeTransaction(String(payload['transaction']))
        const accounts = read?.instructions[2]?.accounts.map(place => read.keys[place])
        expect(accounts?.[0]).toBe(associatedTokenAccount(payer.address, program, mint))
        expect(accounts?.[2]).toBe(associatedTokenAccount(payTo, program, mint))
      }
    } finally {
      await chain.close()
    }
  })

  test('is none for what is no address', () => {
    expect(associatedTokenAccount('0x12', TOKEN_PROGRAM, SOLANA_USDC)).toBeNull()
  })
})

function signerOf({ address, sign }: ReturnType<typeof solanaAccount>) {
  return {
    address,
    signTransactions: async (transactions: readonly { messageBytes: Uint8Array }[]) =>
      transactions.map(({ messageBytes }) => ({ [address]: sign(messageBytes) })),
  } as unknown as ConstructorParameters<typeof ExactSvmScheme>[0] // branded texts and bytes there
}
