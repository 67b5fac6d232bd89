# SPDX-License-Identifier: MIT
# find and xargs.
mkdir -p t/{a,b}/{c,d}; for i in 1 2 3; do echo "$i" >t/a/c/f$i.txt; done; ln -s a t/link; touch -d @1000 t/old; mkfifo t/p; chmod 4755 t/b/d
head -c 3000 /dev/zero >t/b/big
find t | sort; find t -type f -size +1k; find t -name 'f[12]*' -printf '%p %s %m %y\n' | sort; find -L t -type d | sort; find t -perm -4000
find t ! -newer t/old -type f; find t -mindepth 2 -maxdepth 3 -type f -print0 | sort -z | xargs -0 -n 2 echo; find t -empty -type f
find t -name '*.txt' -exec cat {} + | sort; find t -name f1.txt -execdir pwd \; | sed 's|.*/t|t|'; find t -path '*/c/*' -delete; find t -type f | sort
find t -type d -prune; find t \( -name big -o -name old \) -print | sort; find t -links 2 -type d | sort; find t -lname a
seq 10 | xargs -n 3 echo; seq 4 | xargs -I{} echo "<{}>"; seq 6 | xargs -P 3 -n 1 sh -c 'exit 0'; echo "status $?"; echo x | xargs false; echo "status $?"
