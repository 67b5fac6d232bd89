# SPDX-License-Identifier: MIT
# A repository's life; its dates are fixed, so every hash can be compared.
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
git config --global user.name Vellum; git config --global user.email vellum@example.org; git config --global init.defaultBranch main
git init -q r; cd r; for i in 1 2 3 4 5; do mkdir -p d$i; seq $((i * 100)) >d$i/file; done; chmod +x d1/file; ln -s d1/file link
git add .; git commit -qm first; git log --oneline; git ls-tree -r HEAD; git rev-parse HEAD
sed -i 's/^5/five/' d2/file; git diff --stat; git commit -qam second; git rm -q d5/file; git mv d4/file d4/moved; git commit -qm third; git log --stat --oneline | head -20
git checkout -q -b side HEAD~1; echo side >s; git add s; git commit -qm side; git checkout -q main; git merge -q -m merge side; git log --graph --oneline; git status --short
git tag -a v1 -m one; git describe; git blame -s d2/file | sed -n 5p; git stash list; echo x >>s; git stash -q; git stash pop -q; git diff --shortstat; git checkout -q s
git gc -q; git fsck --full 2>&1; git count-objects -v | grep -E 'packs|in-pack'; cd ..; git clone -q r c; cd c; git log -1 --format='%H %an %ai'; git fsck; git bisect start -q HEAD HEAD~2 2>&1 | head -1; git bisect reset -q
cd ..; git clone -q --bare r b.git; cd c; echo push >p; git add p; git commit -qm push; git push -q ../b.git main; git -C ../b.git log --oneline | head -1; git archive HEAD | tar -tf - | wc -l; git grep -c five; git format-patch -q -1; ls *.patch
