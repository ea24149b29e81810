package cli

import (
	"github.com/spf13/cobra"
)

func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion <bash|zsh|fish|powershell>",
		Short: "Print the script that completes commands and flags in a shell.",
		Long: `  bash        source <(sine-relay completion bash)          in ~/.bashrc; it needs the package bash-completion
  zsh         source <(sine-relay completion zsh)           in ~/.zshrc, behind compinit
  fish        sine-relay completion fish | source           in ~/.config/fish/config.fish
  powershell  sine-relay completion powershell | Out-String | Invoke-Expression    in $PROFILE`,
		Example:   "  sine-relay completion bash",
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			default:
				return usagef("%q is not a shell that is supported; there are bash, zsh, fish, powershell", args[0])
			}
		},
	}
}
