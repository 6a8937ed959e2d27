import {
  createTestClient,
  createWalletClient,
  http,
  type LocalAccount,
  maxUint256,
  parseEther,
} from 'viem'
import { type Chain, PERMIT2_ADDRESS, viemChain } from './chain.ts'
import { testDollarAbi } from './token/abi.ts'

/** Lets Permit2 move the payer's test dollars, as a payer must do once; the payer gets the gas. */
export async function approvePermit2(chain: Chain, payer: LocalAccount): Promise<void> {
  const transport = http(chain.rpcUrl)
  const control = createTestClient({ mode: 'anvil', transport })
  await control.setBalance({ address: payer.address, value: parseEther('1') })
  const wallet = createWalletClient({
    ...{ account: payer, transport, chain: viemChain(chain.rpcUrl, chain.chainId) },
  })
  const hash = await wallet.writeContract({
    ...{ address: chain.token, abi: testDollarAbi, functionName: 'approve' },
    args: [PERMIT2_ADDRESS, maxUint256],
  })
  await chain.publicClient.waitForTransactionReceipt({ hash })
}
